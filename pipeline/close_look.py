"""The detector's close look at the surroundings of one face, seen either way up."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .landmarks import Box, Detector, overlap
from .turned_box import TurnedBox, angle_of, is_upside_down, turned_over

# The surroundings that the detector sees: sides of the box, and pixels for one side.
SURROUNDINGS = 1.8
FACE_SIDE = 104

Image = npt.NDArray[np.uint8]


def look_around(detector: Detector, image: Image, box: Box) -> tuple[TurnedBox, float] | None:
    """The detection in a box's surroundings that overlaps it most, and its score; None for none.

    image: (h, w, 3) uint8 RGB; where the box is upside down, it is looked at upside down.
    """
    scale = FACE_SIDE / max(box.right - box.left, 1.0)
    scale = -scale if is_upside_down(box) else scale
    size = round(FACE_SIDE * SURROUNDINGS)
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    transform = np.column_stack([scale * np.eye(2), size / 2.0 - scale * middle])
    best: tuple[TurnedBox, float] | None = None
    most = 0.0
    for found, score in detector.detect(_view(image, transform, size)):
        seen = _in_source(found, transform)
        if overlap(seen, box) > most:
            best, most = (seen, score), overlap(seen, box)
    return best


def the_surer_way_up(detector: Detector, image: Image, box: Box, score: float) -> Box:
    """A new face's box with the way up in which the detector is surer that it is a face.

    score: of the box, where the detector found it.

    Detectors find some upside-down faces too, but take chin and hair for brows and mouth there:
    their boxes and the confidence of landmarks do not tell, the scores do.
    """
    again = look_around(detector, image, box)
    other = look_around(detector, image, turned_over(box))
    sure = score if again is None else max(score, again[1])
    return box if other is None or other[1] <= sure else other[0]


def _in_source(box: Box, transform: npt.NDArray[np.float64]) -> TurnedBox:
    """A view's box in source pixels."""
    scale, (x, y) = transform[0, 0], transform[:, 2]
    across = sorted(((box.left - x) / scale, (box.right - x) / scale))
    down = sorted(((box.top - y) / scale, (box.bottom - y) / scale))
    angle = angle_of(box) + (math.pi if scale < 0 else 0.0)
    return TurnedBox(across[0], down[0], across[1], down[1], angle)


def _view(image: Image, transform: npt.NDArray[np.float64], size: int) -> Image:
    """Part of an image, resized: (size, size, 3); large faces are averaged down, not sampled."""
    finer = max(math.ceil(0.5 / abs(transform[0, 0])), 1)
    view = cv2.warpAffine(image, finer * transform, (finer * size, finer * size))
    if finer > 1:
        view = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(view, np.uint8)
