"""Which files an analysis reads and writes, before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from .options import AnalyzeOptions
from .sources import Source


@dataclass(frozen=True)
class PlannedClip:
    """What one clip's analysis reads and writes.

    input: a file or folder. images: how many it is of; 0 for a video. written: with several faces
    and a file for each of them, those of the first two.
    """

    input: Path
    images: int
    written: tuple[Path, ...]
    more: bool = False

    def line(self) -> str:
        """As one line of text."""
        images = f" ({self.images} images)" if self.images > 1 else ""
        written = ", ".join(str(path) for path in self.written)
        return f"{self.input}{images} -> {written}{' ...' if self.more else ''}"

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return {
            "input": str(self.input),
            "images": self.images,
            "written": [str(path) for path in self.written],
        }


def planned_files(
    sources: Sequence[Source], out: Path, options: AnalyzeOptions
) -> list[PlannedClip]:
    """What is read and written, an item a clip.

    Raises UsageError where a file that is read would be written.
    """
    plans = [_planned(source, out, options) for source in sources]
    read = [path.resolve() for source in sources for path in _files(source)]
    for plan in plans:
        for path in plan.written:
            if path.resolve() in read:
                raise UsageError(f"{path}: is read, and would be overwritten; give another --out")
    return plans


def _planned(source: Source, out: Path, options: AnalyzeOptions) -> PlannedClip:
    suffixes: tuple[str, ...] = (".csv", ".parquet") if options.format == "glee" else (".csv",)
    each = options.format == "arkit" and options.faces > 1
    if each:
        suffixes = ("_face0.csv", "_face1.csv")
    if options.video:
        suffixes += (".mp4",)
    clip = source.clip
    name = clip.images[0] if len(clip.images) == 1 else ""
    written = tuple(out / f"{source.name}{suffix}" for suffix in suffixes)
    return PlannedClip(clip.source / name, len(clip.images), written, more=each)


def _files(source: Source) -> list[Path]:
    clip = source.clip
    return [clip.source / image for image in clip.images] or [clip.source]
