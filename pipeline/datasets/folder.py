"""Any folder of videos and images, without labels.

A video is a clip; a folder that holds images is a clip whose frames are the images in natural order
(so a single image is a clip of one frame). What lies in a subfolder of the root belongs to the
subject of that subfolder's name; what lies in the root itself is a subject of its own.

Links are followed and keep their own names; a folder that is reached twice is read once. What is
not read is named.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from glob import escape
from pathlib import Path

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Clip, DatasetContent, FoundClip
from ..images.video import is_video
from .entries import cannot_be_read

NAME = "folder"
# Names of skipped files that a message shows.
_MOST_SHOWN = 8
# Images in containers of the HEIF family, by name and by the brand at the file's begin.
_HEIF_SUFFIXES = (".avif", ".heic", ".heif", ".hif")
_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heim", b"heis", b"heix", b"mif1", b"msf1")
# Bytes; a record of an analysis is small.
_LARGEST_RECORD = 1 << 20
_CONVERT = "are not read; convert them to JPEG or PNG"

logger = logging.getLogger(__name__)


def find_content(root: Path) -> DatasetContent:
    """Find all videos and image folders below a folder.

    Parameters
    ----------
    root : the folder, or one video or image file

    Returns
    -------
    DatasetContent

    Raises
    ------
    DataError
        there is none
    """
    content = look_through(root)
    for line in content.surplus:
        logger.warning("%s", line)
    return content


def look_through(root: Path) -> DatasetContent:
    """As `find_content`, without a word in the log of what is not read.

    Parameters
    ----------
    root : the folder, or one video or image file

    Returns
    -------
    DatasetContent
        `surplus` names what is not read

    Raises
    ------
    DataError
        there is none
    """
    tree = _Tree(root)
    clips = _clips_below(root, tree) if root.is_dir() else [_clip_of_file(root)]
    lines = tree.lines()
    return DatasetContent(
        tuple(FoundClip(clip.subject, clip.name, partial(_known, clip)) for clip in clips),
        missing=tuple(tree.missing),
        surplus=lines,
        counts={"files skipped": len(tree.skipped)} if tree.skipped else {},
    )


def _known(clip: Clip) -> Clip:
    return clip


def _clips_below(root: Path, tree: _Tree) -> list[Clip]:
    clips: list[Clip] = []
    for folder, names in tree.folders():
        clips += _clips_of_folder(root, folder, names)
    if not clips:
        known = " ".join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)
        found = "".join(f"{line}; " for line in (*tree.missing, *tree.lines())[:1])
        raise DataError(f"{root}: holds no video and no image; {found}known are {known}")
    named = _with_unique_names(clips)
    return sorted(named, key=lambda clip: natural_key(clip.subject + clip.name))


@dataclass
class _Tree:
    """The folders below a root, each once, and what in them is not read.

    Attributes
    ----------
    root : where it begins
    skipped : paths below the root of files of unknown kinds
    heif : of images of the HEIF family
    overlays : of videos that `glee analyze --video` wrote
    odd : lines on entries that are no files, lead nowhere or lead back
    missing : lines on folders and entries that cannot be read
    """

    root: Path
    skipped: list[str] = field(default_factory=list)
    heif: list[str] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _seen: dict[tuple[int, int], Path] = field(default_factory=dict)

    def folders(self) -> Iterator[tuple[Path, list[str]]]:
        """Each folder and the names of its videos and images, in natural order.

        Linked folders come last: where a folder is in the tree itself too, its own name counts.
        """
        waiting = [self.root]
        while waiting:
            links: list[Path] = []
            for top in waiting:
                yield from self._walk(top, links)
            waiting = links

    def _walk(self, top: Path, links: list[Path]) -> Iterator[tuple[Path, list[str]]]:
        stack = [top]
        while stack:
            folder = stack.pop()
            if not self._is_new(folder):
                continue
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: natural_key(entry.name))
            except OSError as error:
                self._cannot(folder, error)
                continue
            names: list[str] = []
            inside: list[Path] = []
            for entry in entries:
                kind = "hidden" if entry.name.startswith(".") else self._kind(entry)
                if kind == "folder":
                    (links if entry.is_symlink() else inside).append(Path(entry.path))
                elif kind == "file":
                    names.append(entry.name)
            stack += reversed(inside)
            yield folder, names

    def _is_new(self, folder: Path) -> bool:
        try:
            found = folder.stat()
        except OSError as error:
            self._cannot(folder, error)
            return False
        first = self._seen.setdefault((found.st_dev, found.st_ino), folder)
        if first == folder:
            return True
        loop = "a loop, leads back to" if folder.is_relative_to(first) else "the same folder as"
        self.odd.append(f"{folder}: {loop} {first}; it is read once")
        return False

    def _kind(self, entry: os.DirEntry[str]) -> str:
        """What an entry is: "folder", "file" where it is to be read; what is not, is noted."""
        path = Path(entry.path)
        try:
            if entry.is_dir():
                return "folder"
            gone = entry.is_symlink() and not path.exists()
            if gone:
                self.odd.append(f"{path}: is a link that leads nowhere")
            elif not entry.is_file():
                self.odd.append(f"{path}: is no file but a pipe or device; skipped")
                return "odd"
        except OSError as error:
            self._cannot(path, error)
            return "odd"
        suffix = path.suffix.lower()
        if suffix not in VIDEO_SUFFIXES + IMAGE_SUFFIXES:
            below = path.relative_to(self.root).as_posix()
            (self.heif if suffix in _HEIF_SUFFIXES else self.skipped).append(below)
            return "skipped"
        if not gone and suffix in VIDEO_SUFFIXES and _is_overlay(path):
            self.overlays.append(path.relative_to(self.root).as_posix())
            return "skipped"
        if not gone and not os.access(path, os.R_OK):
            self.odd.append(f"{path}: cannot be read (no permission)")
        return "file"

    def _cannot(self, path: Path, error: OSError) -> None:
        if path == self.root:
            raise cannot_be_read(path, error) from None
        self.missing.append(f"{path}: cannot be read ({error.strerror}); left out")

    def lines(self) -> tuple[str, ...]:
        """One line for each thing that is odd, and for each kind of file that is not read."""
        lines = list(self.odd)
        if self.heif:
            shown = _shown(self.heif)
            lines.append(f"{self.root}: {len(self.heif)} HEIC or AVIF images {_CONVERT}: {shown}")
        if self.overlays:
            shown = _shown(self.overlays)
            lines.append(
                f"{self.root}: {len(self.overlays)} videos are overlays that `glee analyze` wrote: "
                f"{shown}; they are skipped"
            )
        if self.skipped:
            kinds = Counter(Path(name).suffix.lower() or "no suffix" for name in self.skipped)
            counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            lines.append(
                f"{self.root}: {len(self.skipped)} files are neither videos nor images by name "
                f"({counted}): {_shown(self.skipped)}; they are skipped"
            )
        return tuple(lines)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (" ..." if len(names) > _MOST_SHOWN else "")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which "frame10" comes after "frame9"; ties are broken by the name itself.

    Parameters
    ----------
    name : of a file or folder

    Returns
    -------
    tuple
        to compare
    """
    parts = re.split(r"(\d+)", name)
    key = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts if part
    ]
    return (*key, (-1, 0, name))


def _clip_of_file(path: Path) -> Clip:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path}: is no file but a pipe or device; give a file or a folder")
    if suffix in VIDEO_SUFFIXES:
        return Clip(NAME, path.stem, path.stem, root=path.parent, source=path)
    if suffix in IMAGE_SUFFIXES:
        return Clip(NAME, path.stem, path.stem, path.parent, path.parent, images=(path.name,))
    if suffix in _HEIF_SUFFIXES or _is_heif(path):
        raise DataError(f"{path}: HEIC and AVIF images {_CONVERT}")
    if is_video(path):
        return Clip(NAME, path.stem, path.stem, root=path.parent, source=path)
    known = " ".join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)
    raise DataError(f"{path}: is neither a video nor an image; known are {known}")


def _is_overlay(path: Path) -> bool:
    """Whether a record of `glee analyze` beside a video names it among the files that it wrote."""
    for record in path.parent.glob(f"{escape(path.stem)}*.analysis.json"):
        with suppress(OSError, ValueError, RecursionError), record.open("rb") as file:
            content = json.loads(file.read(_LARGEST_RECORD))
            files = content.get("files") if isinstance(content, dict) else None
            if isinstance(files, dict) and path.name in files:
                return True
    return False


def _is_heif(path: Path) -> bool:
    """By content: FFmpeg would take such an image, or one tile of it, for a video."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise cannot_be_read(path, error) from None
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _clips_of_folder(root: Path, folder: Path, names: list[str]) -> list[Clip]:
    below = folder.relative_to(root).parts
    clips = []
    for name in names:
        if Path(name).suffix.lower() in VIDEO_SUFFIXES:
            stem = Path(name).stem
            subject = below[0] if below else stem
            clips.append(Clip(NAME, subject, "_".join((*below[1:], stem)), root, folder / name))
    images = tuple(name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES)
    if images:
        own = Path(images[0]).stem if len(images) == 1 else folder.name
        subject = below[0] if below else own
        name = "_".join(below[1:]) or own
        clips.append(Clip(NAME, subject, name, root, folder, images))
    return clips


def _with_unique_names(clips: list[Clip]) -> list[Clip]:
    """Clips that would share subject and name are called after their whole path instead."""
    unique = clips
    for mark in ("_", "%5F"):
        count = Counter((clip.subject, clip.name) for clip in unique)
        if max(count.values()) == 1:
            return unique
        unique = [
            _called_by_path(clip, mark) if count[clip.subject, clip.name] > 1 else clip
            for clip in unique
        ]
    count = Counter((clip.subject, clip.name) for clip in unique)
    if max(count.values()) == 1:
        return unique
    # A file may be called as another one's path: then all are called by their paths.
    return [_called_by_path(clip, "%5F") for clip in clips]


def _called_by_path(clip: Clip, mark: str) -> Clip:
    """A clip named by its path below the root; `mark` stands for each _ in a part of it.

    With "%5F" no two paths give one name, since % is marked too.
    """
    path = clip.source / clip.images[0] if clip.images else clip.source
    parts = path.relative_to(clip.root).parts
    if mark != "_":
        parts = tuple(part.replace("%", "%25").replace("_", mark) for part in parts)
    name = "_".join(parts)
    subject = name if path.parent == clip.root else clip.subject
    return replace(clip, subject=subject, name=name)
