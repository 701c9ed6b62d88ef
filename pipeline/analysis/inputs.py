"""What `glee analyze` is given, as clips with output names, and the files that it will write.

Everything here is known before a frame is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, UsageError, near_path
from ..clips import Clip, DatasetContent
from ..datasets.entries import cannot_be_read
from ..datasets.folder import find_content, look_through
from ..options import AnalyzeOptions

# What stands behind a clip's name in the names of its files; no format replaces another's.
TABLE_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "glee": (".csv", ".parquet"),
    "openface": (".openface.csv",),
    "arkit": (".arkit.csv",),
    "gltf": (".glb",),
}
OVERLAY_SUFFIX = ".mp4"
# How files of a form begin, by which they are known again where no record names them.
BEGINNINGS: Mapping[str, Mapping[str, bytes]] = {
    "glee": {".csv": b"frame,face_id,timestamp,valid,", ".parquet": b"PAR1"},
    "openface": {".csv": b"frame,face_id,timestamp,confidence,success,"},
    "arkit": {".csv": b"Timecode,BlendShapeCount,"},
    "gltf": {".glb": b"glTF"},
}
# Formats with a file for each of several faces.
FILE_A_FACE = ("arkit", "gltf")


@dataclass(frozen=True, eq=False)
class Source:
    """One clip to analyse.

    Attributes
    ----------
    name : str
        Of its output files, without a suffix.
    clip : Clip
        Where its frames are.
    """

    name: str
    clip: Clip


@dataclass(frozen=True)
class RefusedInput:
    """An input, or a part of a folder, that cannot be read.

    Attributes
    ----------
    name : str
        As it was given.
    error : str
        Why, one line.
    """

    name: str
    error: str


def find_sources(
    paths: Iterable[Path], *, quiet: bool = False
) -> tuple[list[Source], list[RefusedInput]]:
    """Find the clips of files and folders; each has an output name of its own.

    A folder of images is one clip, its frames in natural order; a folder of videos is a clip each.
    A link is called as it is, not as what it leads to.

    Parameters
    ----------
    paths : iterable of Path
        Videos, images, or folders of either.
    quiet : bool
        Say nothing in the log of files in folders that are not read.

    Returns
    -------
    sources, refused : list of Source, list of RefusedInput
        In the order given.

    Raises
    ------
    UsageError
        Where nothing is given, or a file twice.
    DataError
        Where the only path is missing or is neither video nor image.
    """
    given = [Path(path) for path in paths]
    clips: list[Clip] = []
    refused: list[RefusedInput] = []
    for path in given:
        try:
            content = _content(path, quiet)
            clips += [found.read() for found in content.clips]
            refused += [RefusedInput(str(path), line) for line in content.missing]
        except DataError as error:
            if len(given) == 1:
                raise
            refused.append(RefusedInput(str(path), str(error)))
    if not clips and not refused:
        raise UsageError("give at least one video, image or folder")
    return [Source(name, clip) for name, clip in zip(_names(clips), clips, strict=True)], refused


def _names(clips: list[Clip]) -> list[str]:
    """Names of the clips' tables, none twice.

    Where others are equal, the suffix is added, then the subject, then the folders that it lies in,
    one after the other, and at last a number.
    """
    for path, times in Counter(_file(clip).absolute() for clip in clips).items():
        if times > 1:
            raise UsageError(f"{path}: was given {times} times; give it once")
    names = [clip.name for clip in clips]
    deepest = max((len(_file(clip).absolute().parts) for clip in clips), default=0)
    for folders in range(-1, deepest):
        count = Counter(names)
        if count.total() == len(count):
            break
        names = [
            name if count[name] == 1 else _longer_name(clip, folders)
            for name, clip in zip(names, clips, strict=True)
        ]
    for index, name in enumerate(names):
        number = 1
        while names[index] in names[:index]:
            number += 1
            names[index] = f"{name}_{number}"
    return names


def _content(path: Path, quiet: bool) -> DatasetContent:
    try:
        if not path.exists():
            raise DataError(
                f"{path}: no such file or folder; {near_path(path)}"
                f"give a video, an image or a folder"
            )
    except OSError as error:
        raise cannot_be_read(path, error) from None
    return look_through(path) if quiet else find_content(path)


def _longer_name(clip: Clip, folders: int) -> str:
    """The name with the suffix in it (`a.mp4` is not `a.mov`), after so many folders above it.

    0 folders are the subject, and -1 nothing.
    """
    path = _file(clip)
    name = f"{clip.name}_{path.suffix[1:]}" if path.suffix else clip.name
    if folders < 0:
        return name
    above = path.absolute().parts[1:-1][-folders:] if folders else (clip.subject,)
    return "_".join((*above, name))


def _file(clip: Clip) -> Path:
    return clip.source / clip.images[0] if len(clip.images) == 1 else clip.source


@dataclass(frozen=True)
class AnalysisPlan:
    """What one clip's analysis reads and writes.

    Attributes
    ----------
    input : Path
        A file or folder.
    images : int
        How many images it is of; 0 for a video.
    written : tuple of Path
        With several faces and a file for each of them, those of the first two.
    more : bool
        There may be more files of that kind.
    error : str
        Why nothing can be read, one line; "" where something can.
    """

    input: Path
    images: int
    written: tuple[Path, ...]
    more: bool = False
    error: str = ""

    def line(self) -> str:
        """Say it as one line of text.

        Returns
        -------
        str
            Input -> files, or the error.
        """
        if self.error:
            return self.error
        images = f" ({self.images} images)" if self.images > 1 else ""
        written = ", ".join(str(path) for path in self.written)
        return f"{self.input}{images} -> {written}{' ...' if self.more else ''}"

    def as_json(self) -> dict[str, object]:
        """Give it as plain data.

        Returns
        -------
        dict
            Of types that JSON has.
        """
        return {
            "input": str(self.input),
            "images": self.images,
            "written": [str(path) for path in self.written],
            **({"error": self.error} if self.error else {}),
        }


def planned_files(
    sources: Sequence[Source], out: Path, options: AnalyzeOptions
) -> list[AnalysisPlan]:
    """Plan the files of an analysis.

    Parameters
    ----------
    sources : sequence of Source
        The clips.
    out : Path
        Folder for the tables.
    options : AnalyzeOptions
        What shapes the analysis.

    Returns
    -------
    list of AnalysisPlan
        One a clip.

    Raises
    ------
    UsageError
        Where a file that is read would be written.
    """
    plans = [_planned(source, out, options) for source in sources]
    read = [path.resolve() for source in sources for path in _files(source)]
    for plan in plans:
        for path in plan.written:
            if path.resolve() in read:
                raise UsageError(f"{path}: is read, and would be overwritten; give another --out")
    return plans


def _planned(source: Source, out: Path, options: AnalyzeOptions) -> AnalysisPlan:
    suffixes = TABLE_SUFFIXES[options.format]
    each = options.format in FILE_A_FACE and options.faces > 1
    if each:
        suffixes = tuple(f"_face{face}{suffix}" for face in range(2) for suffix in suffixes)
    if options.video:
        suffixes += (OVERLAY_SUFFIX,)
    clip = source.clip
    name = clip.images[0] if len(clip.images) == 1 else ""
    written = tuple(out / f"{source.name}{suffix}" for suffix in suffixes)
    return AnalysisPlan(clip.source / name, len(clip.images), written, more=each)


def _files(source: Source) -> list[Path]:
    clip = source.clip
    return [clip.source / image for image in clip.images] or [clip.source]
