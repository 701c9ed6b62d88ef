"""Any folder of videos and images, without labels; and images named by their number.

A video is a clip; a folder that holds images is a clip whose frames are the images in natural order
(so a single image is a clip of one frame). What lies in a subfolder of the root belongs to the
subject of that subfolder's name; what lies in the root itself is a subject of its own.

Readers of other datasets take `numbered_images` and `images_of_frames` from here: images named by
their number, and label frames matched to them with an explicit offset.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Clip, DatasetContent, FoundClip
from ..images.video import is_video
from .label_files import whole_number

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


# Offsets that are tried where labels and images do not fit together.
_NEAR = range(-10, 11)


def numbered_images(folder: Path) -> dict[int, str]:
    """Find images named by digits, with or without leading zeros.

    Parameters
    ----------
    folder : of the images

    Returns
    -------
    dict
        number -> file name, ascending

    Raises
    ------
    DataError
        the folder cannot be read, or two images have one number
    """
    images: dict[int, str] = {}
    for name in image_names(folder):
        number = whole_number(Path(name).stem)
        if number is None:
            continue
        if number in images:
            raise DataError(
                f"{folder}: {images[number]} and {name} are both image {number}; remove one"
            )
        images[number] = name
    return dict(sorted(images.items()))


def image_names(folder: Path) -> list[str]:
    """The names of a folder's images.

    Parameters
    ----------
    folder : of the images

    Returns
    -------
    list of str
        sorted

    Raises
    ------
    DataError
        the folder cannot be read
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: image folder cannot be read ({error.strerror}); get it again"
        ) from None
    return [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def images_of_frames(
    frames: npt.NDArray[np.int64], images: dict[int, str], offset: int, labels: Path, folder: Path
) -> tuple[str, ...]:
    """Find the image of each label frame: the one whose number is the frame's plus an offset.

    Parameters
    ----------
    frames : (m,) int64, numbers in the label file
    images : number -> file name
    offset : number of an image less that of its label frame
    labels : the label file, for messages
    folder : the images', for messages

    Returns
    -------
    (m,) tuple of str
        file names

    Raises
    ------
    DataError
        a frame has no image; the message names the offset that would fit
    """
    wanted = [int(frame) + offset for frame in frames]
    without = [number for number in wanted if number not in images]
    if not without:
        return tuple(images[number] for number in wanted)
    likely = likely_offset(frames, images)
    advice = (
        f"frame_offset {likely} would match all: give that"
        if likely is not None
        else "no offset matches all: get the images again"
    )
    raise DataError(
        f"{labels}: frame {without[0] - offset} has no image {without[0]} in {folder} "
        f"({len(without)} of {len(wanted)} frames have none, frame_offset is {offset}); {advice}"
    )


def likely_offset(frames: npt.NDArray[np.int64], images: Iterable[int]) -> int | None:
    """The offset nearest to 0 under which every frame has an image.

    Parameters
    ----------
    frames : (m,) int64, numbers in the label file
    images : numbers of the images

    Returns
    -------
    int or None
        None where there is none
    """
    known = set(images)
    if not len(frames) or not known:
        return None
    wanted = [int(frame) for frame in frames]
    tried: set[int] = {*_NEAR, min(known) - wanted[0], max(known) - wanted[-1]}
    for offset in sorted(tried, key=lambda value: (abs(value), value)):
        if all(frame + offset in known for frame in wanted):
            return offset
    return None
