"""A clip: one video or image folder of one subject, as a dataset reader describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class ClipLabels:
    """AU labels of a clip, one row for each frame from its first on.

    au_names: ("AU1", ...). kind: "occurrence" or "intensity". values: (m, a) int8, -1 unknown;
    m may exceed the clip's frames. shortest: the label file that ends first, for messages.
    """

    au_names: tuple[str, ...]
    kind: str
    values: npt.NDArray[np.int8]
    shortest: Path


@dataclass(frozen=True, eq=False)
class Clip:
    """One video, or one folder of images, of one subject.

    dataset, subject, name: as the shard names them. root: the dataset's folder. source: the video
    file or image folder. images: file names in the order of the frames; empty for a video.
    first_frame_id: the dataset's own number of frame 0. labels: None where the dataset has none.
    """

    dataset: str
    subject: str
    name: str
    root: Path
    source: Path
    images: tuple[str, ...] = ()
    first_frame_id: int = 0
    labels: ClipLabels | None = None

    @property
    def kind(self) -> str:
        """ "images" or "video"."""
        return "images" if self.images else "video"

    @property
    def relative_source(self) -> str:
        """The source's path below the root, with forward slashes; a single image's own path."""
        source = self.source / self.images[0] if len(self.images) == 1 else self.source
        return source.relative_to(self.root).as_posix()
