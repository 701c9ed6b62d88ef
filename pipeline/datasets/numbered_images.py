"""Images named by their number, and label rows matched to them with an explicit offset.

Some releases of a dataset number images from 0 and label rows from 1. Nothing is guessed: all rows
of a label file, coded or not, are held against the images, and another offset that suits them
better than the given one stops the reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES
from .label_rows import whole_number

# Offsets that are tried beside those under which the first or the last row has an image.
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
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise DataError(
            f"{folder}: image folder cannot be read ({error.strerror}); get it again"
        ) from None
    return [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def images_of_frames(
    frames: npt.NDArray[np.int64],
    images: dict[int, str],
    offset: int,
    labels: Path,
    folder: Path,
    *,
    uncoded: npt.NDArray[np.int64] | None = None,
) -> tuple[str, ...]:
    """Find the image of each label frame: the one whose number is the frame's plus an offset.

    Parameters
    ----------
    frames : (m,) int64, numbers of the coded rows in the label file
    images : number -> file name
    offset : number of an image less that of its label row
    labels : the label file, for messages
    folder : the images', for messages
    uncoded : (k,) int64, numbers of rows that are not coded; only the offset is checked by them

    Returns
    -------
    (m,) tuple of str
        file names

    Raises
    ------
    DataError
        a coded row has no image, or another offset suits all rows better; the message names it
    """
    rows = frames if uncoded is None else np.union1d(frames, uncoded)
    without = [int(row) for row in rows if int(row) + offset not in images]
    matched = len(rows) - len(without)
    likely = likely_offset(rows, images)
    better = 0 if likely is None else _matched(rows, likely, images)
    if better > matched:
        count = "all" if better == len(rows) else f"{better} of {len(rows)}"
        advice = f"frame_offset {likely} would match {count}: give that, or get the images again"
    elif without and not {*without}.isdisjoint(frames.tolist()):
        advice = "no offset matches all: get the images again"
    else:
        return tuple(images[int(frame) + offset] for frame in frames)
    raise DataError(
        f"{labels}: frame {without[0]} has no image {without[0] + offset} in {folder} "
        f"({len(without)} of {len(rows)} rows have none, frame_offset is {offset}); {advice}"
    )


def likely_offset(rows: npt.NDArray[np.int64], images: Iterable[int]) -> int | None:
    """The offset under which most rows have an image; of several the one nearest to 0.

    Parameters
    ----------
    rows : (m,) int64, numbers in the label file, ascending
    images : numbers of the images

    Returns
    -------
    int or None
        None where there is nothing to compare
    """
    known = set(images)
    if not len(rows) or not known:
        return None
    tried: set[int] = {*_NEAR, min(known) - int(rows[0]), max(known) - int(rows[-1])}
    return min(tried, key=lambda offset: (-_matched(rows, offset, known), abs(offset), offset))


def _matched(rows: npt.NDArray[np.int64], offset: int, images: Iterable[int]) -> int:
    known = images if isinstance(images, (dict, set)) else set(images)
    return sum(row + offset in known for row in rows.tolist())
