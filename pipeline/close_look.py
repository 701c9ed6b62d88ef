"""The detector's close look at the surroundings of one face, seen whichever way it is turned."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .landmarks import Box, Detector, overlap
from .turned_box import TURN, TurnedBox, angle_of, nearest_turn, rotation

# The surroundings that the detector sees: sides of the box, and pixels for one side.
SURROUNDINGS = 1.8
FACE_SIDE = 104
# Zoom of a second look, in which dlib's faces are still of 80 pixels.
FURTHER = 0.8

Image = npt.NDArray[np.uint8]


def look_around(
    detector: Detector, image: Image, box: Box, zoom: float = 1.0
) -> tuple[TurnedBox, float] | None:
    """The detection in a box's surroundings that overlaps it most, and its score; None for none.

    image: (h, w, 3) uint8 RGB; where the box's face is turned, it is looked at turned back. zoom:
    of the face in the same number of pixels; below 1 there is more around it.
    """
    turn = nearest_turn(angle_of(box))
    scale = zoom * FACE_SIDE / max(box.right - box.left, 1.0)
    size = round(FACE_SIDE * SURROUNDINGS)
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    linear = scale * (rotation(-turn) if turn else np.eye(2))
    transform = np.column_stack([linear, size / 2.0 - linear @ middle])
    best: tuple[TurnedBox, float] | None = None
    most = 0.0
    for found, score in detector.detect(_view(image, scale, transform, size)):
        seen = _in_source(found, scale, transform, turn)
        if overlap(seen, box) > most:
            best, most = (seen, score), overlap(seen, box)
    return best


def the_surest_turn(detector: Detector, image: Image, box: Box, score: float) -> Box:
    """A new face's box, turned the way in which the detector is surest that it is a face.

    score: of the box, where the detector found it.

    Detectors find some upside-down faces too, but take chin and hair for brows and mouth there:
    their boxes and the confidence of landmarks do not tell, the scores do.
    """
    _, sure = _look_twice(detector, image, box, score)
    best = box
    # A box that knows its angle can only be wrong about the way up.
    for turn in (math.pi,) if isinstance(box, TurnedBox) else (math.pi, TURN, -TURN):
        turned = TurnedBox(*box, angle_of(box) + turn)
        seen, surer = _look_twice(detector, image, turned, 0.0)
        if surer > sure:
            best, sure = seen, surer
    return best


def _look_twice(
    detector: Detector, image: Image, box: TurnedBox | Box, score: float
) -> tuple[Box, float]:
    """What is seen in a box, and the mean score of two looks; a single one errs now and then."""
    near = look_around(detector, image, box)
    far = look_around(detector, image, box, FURTHER)
    scores = max(score, near[1] if near else 0.0), far[1] if far else 0.0
    return (near or far or (box, 0.0))[0], sum(scores) / 2


def _in_source(
    box: Box, scale: float, transform: npt.NDArray[np.float64], turn: float
) -> TurnedBox:
    """A view's box in source pixels."""
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    x, y = (middle - transform[:, 2]) @ transform[:, :2] / scale**2
    across, down = (box.right - box.left) / 2 / scale, (box.bottom - box.top) / 2 / scale
    return TurnedBox(x - across, y - down, x + across, y + down, angle_of(box) + turn)


def _view(image: Image, scale: float, transform: npt.NDArray[np.float64], size: int) -> Image:
    """Part of an image, resized: (size, size, 3); large faces are averaged down, not sampled."""
    finer = max(math.ceil(0.5 / scale), 1)
    view = cv2.warpAffine(image, finer * transform, (finer * size, finer * size))
    if finer > 1:
        view = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(view, np.uint8)
