"""A clip: one video or image folder of one subject, as a dataset reader describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError, GleeError, unexpected

# Names by which files of a folder are taken for videos; what they are, their content tells.
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2t", ".m2ts"),
    *(".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"),
    *(".qt", ".ts", ".vob", ".webm", ".wmv"),
)
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Left, right, top, bottom of a face in parts of the image's width and height.
FaceBox = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class ClipLabels:
    """AU labels of a clip, one row for each frame from its first on.

    Attributes
    ----------
    au_names : tuple of str
        ("AU1", ...).
    kind : str
        "occurrence" or "intensity".
    values : (m, a) int8
        -1 where unknown; m may exceed the clip's frames.
    shortest : Path
        The label file that ends first, for messages.
    """

    au_names: tuple[str, ...]
    kind: str
    values: npt.NDArray[np.int8]
    shortest: Path


@dataclass(frozen=True, eq=False)
class Clip:
    """One video, or one folder of images, of one subject.

    Attributes
    ----------
    dataset, subject, name : str
        As the shard names them.
    root : Path
        The dataset's folder.
    source : Path
        The video file or image folder.
    images : tuple of str
        File names in the order of the frames; empty for a video.
    first_frame_id : int
        The dataset's own number of frame 0; the others count on from it.
    frame_ids : tuple of int
        The dataset's own number of every frame, ascending, where they do not.
    boxes : tuple of FaceBox
        The face of every image; then each frame is the cut-out around it (`face_cutout`) and no
        frame has to do with the one before.
    labels : ClipLabels or None
        None where the dataset has none.
    notes : tuple of str
        Lines on what is odd about it, and yet is no error.
    """

    dataset: str
    subject: str
    name: str
    root: Path
    source: Path
    images: tuple[str, ...] = ()
    first_frame_id: int = 0
    frame_ids: tuple[int, ...] = ()
    boxes: tuple[FaceBox, ...] = ()
    labels: ClipLabels | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Which clip it is, for messages."""
        return f"{self.subject}/{self.name}"

    @property
    def kind(self) -> str:
        """ "images" or "video"."""
        return "images" if self.images else "video"

    @property
    def relative_source(self) -> str:
        """The source's path below the root, with forward slashes; a single image's own path."""
        source = self.source / self.images[0] if len(self.images) == 1 else self.source
        return source.relative_to(self.root).as_posix()

    def numbers(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Give the dataset's own numbers of frames.

        Parameters
        ----------
        start, stop : int
            Frames of the clip, stop excluded.

        Returns
        -------
        (stop - start,) int64
            Ascending.
        """
        if self.frame_ids:
            return np.array(self.frame_ids[start:stop], np.int64)
        return np.arange(self.first_frame_id + start, self.first_frame_id + stop, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class FoundClip:
    """A clip that a dataset has by its folders and file names.

    Attributes
    ----------
    subject, name : str
        As the shard names them.
    parse : callable
        Parses the labels and gives the clip, or raises a GleeError.
    """

    subject: str
    name: str
    parse: Callable[[], Clip]

    def read(self) -> Clip:
        """Parse the labels, so that one bad file can be told from the others.

        Returns
        -------
        Clip
            With its labels.

        Raises
        ------
        GleeError
            Where they are wrong; whatever else parsing them raises is a DataError here.
        """
        try:
            return self.parse()
        except GleeError:
            raise
        except Exception as error:
            raise DataError(f"{unexpected(error)}; please report it") from error


@dataclass(frozen=True, eq=False)
class DatasetContent:
    """What a reader found in a dataset's folder before it opened what the clips are made of.

    Attributes
    ----------
    clips : tuple of FoundClip
        Sorted by subject and name.
    missing, surplus : tuple of str
        One line each for what should be there and is not, and for what is there and is not used.
    counts : mapping
        What was read, left out and why.
    files : mapping
        Tables for the work folder, name -> content.
    """

    clips: tuple[FoundClip, ...]
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
