"""Images named by their number, and label frames matched to them with an explicit offset."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES
from .text_lines import whole_number

# Offsets that are tried where labels and images do not fit together.
_NEAR = range(-10, 11)


def numbered_images(folder: Path) -> dict[int, str]:
    """Number -> file name, ascending, of images named by digits with or without leading zeros.

    Raises DataError where the folder cannot be read or two images have one number.
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
    """The names of a folder's images, sorted. Raises DataError where it cannot be read."""
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
    """The image of each label frame: the one whose number is the frame's plus `offset`.

    frames: (m,) int64. labels: the label file, for messages; folder: the images'.

    Raises DataError, naming the offset that would fit, where a frame has no image.
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
    """The offset nearest to 0 under which every frame has an image; None where there is none."""
    known = set(images)
    if not len(frames) or not known:
        return None
    wanted = [int(frame) for frame in frames]
    tried: set[int] = {*_NEAR, min(known) - wanted[0], max(known) - wanted[-1]}
    for offset in sorted(tried, key=lambda value: (abs(value), value)):
        if all(frame + offset in known for frame in wanted):
            return offset
    return None
