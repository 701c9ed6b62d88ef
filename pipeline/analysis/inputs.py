"""Inputs, options, planned files.

Which files an analysis reads and writes, before anything is done.

Every option that shapes an analysis.

What `glee analyze` is given, videos, images and folders, as clips with output names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DataError, UsageError
from ..clips import Clip
from ..datasets import open_dataset
from ..fit3d import Fit3dOptions
from .face_stream import StreamOptions


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


FORMATS = ("glee", "openface", "arkit")
IDENTITIES = ("subject", "frame")


@dataclass(frozen=True)
class AnalyzeOptions:
    """Every option that shapes an analysis.

    format: of the tables. video: write an overlay too. detector: landmark backend, or auto.
    weights: folder of its weights files; None for its own. faces: most faces that are followed.
    identity: "subject", one f_shape a person, or "frame", frames have nothing to do with each
    other; None for a person's frames, fitted as a trained run asks for. focal: pixels; None for
    1.5 x the longer side. model: path of a morphable model; None for the run's, or the embedded
    one. detect_every, minimum_confidence: as in `preprocess`. fps: of images.
    deinterlace: make interlaced pictures whole from both their fields.
    """

    format: str = "glee"
    video: bool = False
    detector: str = "auto"
    weights: Path | None = None
    faces: int = 1
    identity: str | None = None
    focal: float | None = None
    model: Path | None = None
    detect_every: int = 10
    minimum_confidence: float = 0.4
    fps: float = 30.0
    deinterlace: bool = False

    def check(self) -> None:
        """Raises UsageError where a value makes no sense."""
        if self.format not in FORMATS:
            raise UsageError(f"format is {self.format!r}; give one of {', '.join(FORMATS)}")
        if self.identity not in (None, *IDENTITIES):
            raise UsageError(f"identity is {self.identity!r}; give one of {', '.join(IDENTITIES)}")
        if self.focal is not None and not self.focal > 0:
            raise UsageError(f"focal is {self.focal}; give a positive number of pixels")
        self.stream(scored=False).check()

    def fit(self, base: Fit3dOptions) -> Fit3dOptions:
        """The options of the fit: `base` with what is asked for here."""
        return replace(
            base,
            identity=self.identity or base.identity,
            focal=self.focal,
            model=base.model if self.model is None else str(self.model),
        )

    def stream(self, *, scored: bool) -> StreamOptions:
        """What the stream of faces needs to know. scored: aligned faces are needed."""
        return StreamOptions(
            faces=self.faces,
            alone=self.identity == "frame",
            detect_every=self.detect_every,
            minimum_confidence=self.minimum_confidence,
            fps=self.fps,
            crops=scored,
            pictures=self.video,
        )


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
