"""The detector's close look at the surroundings of one face, seen whichever way it is turned."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .landmarks.detector import Box, Detector, overlap
from .turned_box import TURN, TurnedBox, angle_of, nearest_turn, rotation

# The surroundings that the detector sees: sides of the box, and pixels for one side.
SURROUNDINGS = 1.8
FACE_SIDE = 104
# Zoom of a second look, in which dlib's faces are still of 80 pixels.
FURTHER = 0.8
# By how much less sure a look may be that is looked at again.
CLOSE = 0.15

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
    if score >= getattr(detector, "upright_from", math.inf):
        return box
    again = look_around(detector, image, box)
    sure = score if again is None else max(score, again[1])
    # A box that knows its angle can only be wrong about the way up.
    turns = (math.pi,) if isinstance(box, TurnedBox) else (math.pi, TURN, -TURN)
    rivals = []
    for turn in turns:
        turned = TurnedBox(*box, angle_of(box) + turn)
        seen = look_around(detector, image, turned)
        if seen is not None and seen[1] > sure - CLOSE:
            rivals.append((turned, *seen))
    if not rivals:
        return box
    # Of one look in a thousand the scores are the wrong way round.
    best, sure = box, sure + _further_score(detector, image, box)
    for turned, found, near in rivals:
        if (surer := near + _further_score(detector, image, turned)) > sure:
            best, sure = found, surer
    return best


def _further_score(detector: Detector, image: Image, box: Box) -> float:
    seen = look_around(detector, image, box, FURTHER)
    return 0.0 if seen is None else seen[1]


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
