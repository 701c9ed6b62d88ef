"""What `glee analyze` is given, videos, images and folders, as clips with output names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, UsageError
from ..clips import Clip
from ..datasets import open_dataset


@dataclass(frozen=True, eq=False)
class Source:
    """One clip to analyse. name: of its output files, without a suffix."""

    name: str
    clip: Clip


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The clips of files and folders, in the order given; each has an output name of its own.

    A folder of images is one clip, its frames in natural order; a folder of videos is a clip each.

    Raises UsageError where nothing is given or two clips would write the same file, DataError where
    a path is missing or is neither video nor image.
    """
    clips = []
    for path in paths:
        if not Path(path).exists():
            raise DataError(f"{path}: no such file or folder; give a video, an image or a folder")
        clips += open_dataset("folder", Path(path))
    if not clips:
        raise UsageError("give at least one video, image or folder")
    plain = Counter(clip.name for clip in clips)
    names = [clip.name if plain[clip.name] == 1 else _long_name(clip) for clip in clips]
    for name, times in Counter(names).items():
        if times > 1:
            raise UsageError(f"{times} inputs are called {name}; analyse them into folders apart")
    return [Source(name, clip) for name, clip in zip(names, clips, strict=True)]


def _long_name(clip: Clip) -> str:
    """The file's name with its suffix in it, which tells `a.mp4` from `a.mov`."""
    path = clip.source / clip.images[0] if len(clip.images) == 1 else clip.source
    return f"{clip.name}_{path.suffix[1:]}" if path.suffix else clip.name
