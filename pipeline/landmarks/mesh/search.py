"""A picture looked through for small faces: from coarse to fine, window by window.

The face detector sees faces whose outer eye corners are 11 of its own pixels apart or more. It sees
all places alike, so that a picture at a larger scale is given to it in windows, which are larger
than the square that it was made for and overlap by a face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from ...images.crops import Image
from ..detector import Box, overlap
from .architecture import IMAGE_SIDE
from .detection import SAME_FACE

# The finest scale: the network's pixels to a pixel of the picture. Small pictures are cheap and
# looked through more finely; of pictures beyond 8 megapixels no more is looked at than of these, so
# that none takes more than about a second.
_FINEST, _FULL = 0.6, 0.8
_CHEAP, _MOST = 750_000, 3_000_000
# Scales are halved from one to the next coarser one, down to this many times the whole picture's.
_COARSEST = 1.4
# A window's height and width, which stay in a processor's cache, and how much neighbours share:
# twice the box of the smallest face, since a scale coarser sees all that are larger.
_WINDOW = (224, 1152)
_SHARED = 56
_STEP = 16  # the network halves the image four times
# A face within another one's box by this part of its own is a part of that face.
_PART = 0.7

Found = tuple[Box, float]


class Window(NamedTuple):
    """Part of a scaled picture.

    pixels: (h, w, 3) uint8, sides of multiples of 16, black beyond the picture. left, top: of it in
    the scaled picture. scale: (across, down) of that picture.
    """

    pixels: Image
    left: int
    top: int
    scale: tuple[float, float]


def scales(height: int, width: int) -> list[float]:
    """The scales at which a picture is looked through beside the whole, from coarse to fine."""
    pixels = height * width
    finest = min(max(_FINEST, math.sqrt(_CHEAP / pixels)), _FULL, math.sqrt(_MOST / pixels))
    coarsest = _COARSEST * IMAGE_SIDE / max(height, width)
    count = max(math.floor(math.log2(max(finest / coarsest, 0.5))) + 1, 0)
    return [finest / 2.0**level for level in reversed(range(count))]


def windows(image: Image, scale: float) -> Iterator[Window]:
    """The windows of a picture at one scale."""
    height, width = image.shape[:2]
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    steps = (size[0] / width, size[1] / height)
    tall, top_starts = _cut(size[1], _WINDOW[0])
    wide, left_starts = _cut(size[0], _WINDOW[1])
    for top in top_starts:
        for left in left_starts:
            part = small[top : top + tall, left : left + wide]
            pixels = np.zeros((tall, wide, 3), np.uint8)
            pixels[: part.shape[0], : part.shape[1]] = part
            yield Window(pixels, left, top, steps)


def _cut(length: int, most: int) -> tuple[int, list[int]]:
    """How long the windows along one side are, and where they start."""
    if length <= most:
        return math.ceil(length / _STEP) * _STEP, [0]
    count = math.ceil((length - _SHARED) / (most - _SHARED))
    own = math.ceil(((length - _SHARED) / count + _SHARED) / _STEP) * _STEP
    return own, [round(start) for start in np.linspace(0, length - own, count)]


def unknown(found: list[Found], known: list[Found]) -> list[Found]:
    """Faces, best first, that are neither one of the known, nor of a better one, nor part of it."""
    fresh: list[Found] = []
    for box, score in sorted(found, key=lambda face: -face[1]):
        if not any(_same(box, other) for other, _ in (*known, *fresh)):
            fresh.append((box, score))
    return fresh


def _same(box: Box, other: Box) -> bool:
    across = min(box.right, other.right) - max(box.left, other.left)
    down = min(box.bottom, other.bottom) - max(box.top, other.top)
    within = max(across, 0.0) * max(down, 0.0)
    return overlap(box, other) >= SAME_FACE or within > _PART * box.area
