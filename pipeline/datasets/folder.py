"""Any folder of videos and images, without labels; and images named by their number.

A video is a clip; a folder that holds images is a clip whose frames are the images in natural order
(so a single image is a clip of one frame). What lies in a subfolder of the root belongs to the
subject of that subfolder's name; what lies in the root itself is a subject of its own.
"""

from __future__ import annotations

import logging
import os
import re
from functools import partial
from pathlib import Path

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Clip, DatasetContent, FoundClip
from ..images.video import is_video

NAME = "folder"
# Names of skipped files that a message shows.
_MOST_SHOWN = 8

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
    clips, skipped = _clips_below(root)
    lines: tuple[str, ...] = ()
    if skipped:
        shown = ", ".join(skipped[:_MOST_SHOWN]) + (" ..." if len(skipped) > _MOST_SHOWN else "")
        lines = (f"{root}: {len(skipped)} files are neither videos nor images by name: {shown}",)
        logger.warning("%s; they are skipped", lines[0])
    return DatasetContent(
        tuple(FoundClip(clip.subject, clip.name, partial(_known, clip)) for clip in clips),
        surplus=lines,
        counts={"files skipped": len(skipped)} if skipped else {},
    )


def _known(clip: Clip) -> Clip:
    return clip


def _clips_below(root: Path) -> tuple[list[Clip], list[str]]:
    """The clips, and the paths below `root` of the files that are skipped."""
    if root.is_file():
        return [_clip_of_file(root)], []
    clips: list[Clip] = []
    skipped: list[str] = []
    for folder, children, names in os.walk(root):
        children[:] = sorted((c for c in children if not c.startswith(".")), key=natural_key)
        names = sorted((name for name in names if not name.startswith(".")), key=natural_key)
        clips += _clips_of_folder(root, Path(folder), names)
        below = Path(folder).relative_to(root)
        suffixes = VIDEO_SUFFIXES + IMAGE_SUFFIXES
        skipped += [
            (below / name).as_posix() for name in names if Path(name).suffix.lower() not in suffixes
        ]
    if not clips:
        known = " ".join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)
        raise DataError(f"{root}: holds no video and no image; known are {known}")
    named = _with_unique_names(clips)
    return sorted(named, key=lambda clip: natural_key(clip.subject + clip.name)), skipped


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
    if suffix in VIDEO_SUFFIXES:
        return Clip(NAME, path.stem, path.stem, root=path.parent, source=path)
    if suffix in IMAGE_SUFFIXES:
        return Clip(NAME, path.stem, path.stem, path.parent, path.parent, images=(path.name,))
    if is_video(path):
        return Clip(NAME, path.stem, path.stem, root=path.parent, source=path)
    known = " ".join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)
    raise DataError(f"{path}: is neither a video nor an image; known are {known}")


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
    count: dict[tuple[str, str], int] = {}
    for clip in clips:
        count[clip.subject, clip.name] = count.get((clip.subject, clip.name), 0) + 1
    unique = []
    for clip in clips:
        if count[clip.subject, clip.name] > 1:
            path = clip.source / clip.images[0] if clip.images else clip.source
            name = "_".join(path.relative_to(clip.root).parts)
            subject = name if path.parent == clip.root else clip.subject
            clip = Clip(NAME, subject, name, clip.root, clip.source, clip.images)
        unique.append(clip)
    return unique
