"""Is it the same face, and can it be one.

What the followed face looks like, so that another one in its place is not taken for it.

Compared is the light and shade of a face, laid upright by eyes and mouth, whatever its brightness
and contrast. From frame to frame it differs by 0.2 at most (1 less the correlation) in talk, blinks
and turns, by 0.5 at most where a hand or cloth comes and goes, by 0.66 to 1.2 where another face
has come in front of it. Measured on renders and real videos, with dlib and mesh. Looks of a head
that turns by more than 12 degrees from one frame to the next cannot be compared.

Whether 68 landmarks can be a face: compared with the mean head under weak perspective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from ...fitting.morphable_model.landmark_scheme import OUTER_EYE_CORNERS
from ...fitting.morphable_model.model_file import mean_landmarks

# Differences, between 0 and 2, from which it is another face: from the last frame's look and from
# all that are remembered, together; and from these where the last frame did not show the face.
STEP, CHANGED, OTHER = 0.55, 0.3, 0.4
# Turn between two frames, degrees, from which their looks are not compared.
TURN = 12.0
# Faces of others that are refused, in frames, before one of them is followed.
PATIENCE = 30
# Mean difference of two frames in grey levels from which there is a cut between them.
CUT = 20.0

# Side of the patch that is compared; finer pixels that each of its own is the mean of.
_SIDE, _FINER = 16, 4
# Where the eyes and the mouth lie in the patch.
_PLACES = np.array([[4.0, 4.0], [11.0, 4.0], [7.5, 11.5]])
# A look that differs by this much from those remembered is remembered too; at most so many are.
_NEW, _MOST = 0.25, 8
# Confidence from which a look is that of a face alone, not half of another one in front of it.
_CLEAR = 0.8
# Contrast, in natural logarithms of grey levels, below which a face cannot be told from another.
_FLAT = 0.02
_DARK = 8.0  # grey levels added before the logarithm
_THUMBNAIL = (32, 24)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Look:
    """How a face looks. patch: (16, 16) float32, mean 0. view: (3,), unit vector to the camera."""

    patch: npt.NDArray[np.float32]
    view: npt.NDArray[np.float64]


class FaceMemory:
    """The looks of one face: of the last frame, and different ones of those before."""

    def __init__(self) -> None:
        self._known: list[Look] = []
        self._last: Look | None = None
        self._new: Look | None = None
        self._image: Image | None = None
        self._patience = PATIENCE

    def is_other(self, image: Image, look: Look) -> bool:
        """Whether a face in `image` is not the one remembered; never after a cut."""
        if not self._known:
            return False
        change = self._change(look)
        if self._last is None:
            other = change > OTHER
        else:
            step = look_difference(look, self._last)
            turned = float(look.view @ self._last.view) < np.cos(np.radians(TURN))
            other = change > CHANGED and step > STEP and not turned
        return other and not self._is_cut(image)

    def keep(self, look: Look, confidence: float, *, anew: bool) -> None:
        """Remember a look; anew: of a new track, which may be another face."""
        change = self._change(look)
        # Half hidden by another one, the face of the last frame is still the same face.
        same = self._last is not None and look_difference(look, self._last) <= STEP
        if anew and change > OTHER and not same:
            self._known.clear()
        if not self._known or (change > _NEW and confidence >= _CLEAR):
            self._known.append(look)
            if len(self._known) > _MOST:
                del self._known[1]
        self._new = look
        self._patience = PATIENCE

    def _change(self, look: Look) -> float:
        return min((look_difference(look, one) for one in self._known), default=0.0)

    def refuse(self) -> bool:
        """Whether to wait for the face rather than to follow another; not for ever."""
        self._patience -= 1
        return self._patience >= 0

    def pass_on(self, image: Image) -> None:
        """A frame is over: the next one is compared with it."""
        self._image, self._last, self._new = image, self._new, None

    def _is_cut(self, image: Image) -> bool:
        if self._image is None:
            return False
        if self._image.shape != image.shape:
            return True
        small, before = (
            cv2.resize(one, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
            for one in (image, self._image)
        )
        return float(np.abs(small - before).mean()) > CUT


def look_of(image: Image, landmarks: npt.NDArray[np.float32]) -> Look:
    """The look of a face.

    image: (h, w, 3) uint8. landmarks: (68, 2), its pixels.
    """
    parts = (slice(36, 42), slice(42, 48), slice(48, 68))
    eyes_and_mouth = np.array([landmarks[part].mean(0) for part in parts], np.float32)
    fine = (_PLACES + 0.5) * _FINER - 0.5
    transform = cv2.getAffineTransform(eyes_and_mouth, fine.astype(np.float32))
    size = (_SIDE * _FINER, _SIDE * _FINER)
    patch = cv2.warpAffine(image, transform, size, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(patch, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = np.log(small.astype(np.float32) + np.float32(_DARK)).mean(-1)
    return Look(np.asarray(grey - grey.mean(), np.float32), view_direction(landmarks))


def look_difference(one: Look, other: Look) -> float:
    """1 less the correlation of two looks, in [0, 2]; 0 where one of them is flat."""
    a, b = one.patch.ravel(), other.patch.ravel()
    size = math.sqrt(float(a @ a) * float(b @ b)) / len(a)
    return 0.0 if size < _FLAT**2 else 1.0 - float(a @ b) / len(a) / size


# Smallest distance between the outer eye corners, pixels: below, landmarks are guesses.
MINIMUM_INTER_OCULAR = 12.0
# Largest root mean square distance to the mean head, over its inter-ocular distance. Detected
# faces of real videos lie below 0.13 in wide smiles and at 45 degrees of yaw.
MAXIMUM_DEVIATION = 0.25
# Bounds of the affine camera: one scale in x and y, axes at right angles, seen from the front.
MAXIMUM_ANISOTROPY = 1.5
MAXIMUM_SHEAR = 0.35
MINIMUM_FACING = 0.2


@dataclass(frozen=True)
class Plausibility:
    """How a set of landmarks agrees with the mean head.

    deviation: root mean square distance over the inter-ocular distance. size: inter-ocular distance
    of the mean head in the image, pixels (not shortened by yaw). plausible: whether it can be a
    face at all.
    """

    deviation: float
    size: float
    plausible: bool


@lru_cache(maxsize=1)
def _centred_landmarks() -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centred mean landmarks (68, 3), y down; their pseudo-inverse (3, 68); inter-ocular size."""
    points = mean_landmarks() * [1.0, -1.0, -1.0]
    points -= points.mean(0)
    right, left = OUTER_EYE_CORNERS
    inverse = np.asarray(np.linalg.pinv(points), np.float64)
    return points, inverse, float(np.linalg.norm(points[left] - points[right]))


def assess(landmarks: ArrayLike) -> Plausibility:
    """Fit the mean head's 68 points by an affine camera and judge what is left.

    landmarks: (68, 2), source pixels. Not finite ones are not plausible.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if not np.isfinite(landmarks).all():
        return Plausibility(float("inf"), 0.0, plausible=False)
    head, inverse, inter_ocular = _centred_landmarks()
    centred = landmarks - landmarks.mean(0)
    camera = inverse @ centred
    first, second = camera[:, 0], camera[:, 1]
    one, two = math.sqrt(first @ first), math.sqrt(second @ second)
    if min(one, two) < 1e-9:
        return Plausibility(float("inf"), 0.0, plausible=False)
    size = inter_ocular * math.sqrt(one * two)
    rest = (centred - head @ camera).ravel()
    deviation = math.sqrt(rest @ rest / len(centred)) / size
    # The third row of the rotation is the cross product; its z is how far the face faces us.
    facing = float(first[0] * second[1] - first[1] * second[0]) / (one * two)
    plausible = (
        size >= MINIMUM_INTER_OCULAR
        and deviation <= MAXIMUM_DEVIATION
        and max(one, two) <= MAXIMUM_ANISOTROPY * min(one, two)
        and abs(float(first @ second)) <= MAXIMUM_SHEAR * one * two
        and facing >= MINIMUM_FACING
    )
    return Plausibility(deviation, size, plausible)


def view_direction(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Where the camera is, seen from the mean head: (3,) unit vector in its axes.

    landmarks: (68, 2), source pixels, of a plausible face.
    """
    points = np.asarray(landmarks, np.float64)
    _, inverse, _ = _centred_landmarks()
    camera = inverse @ (points - points.mean(0))
    view = np.cross(camera[:, 0], camera[:, 1])
    return np.asarray(view / max(float(np.linalg.norm(view)), 1e-12))
