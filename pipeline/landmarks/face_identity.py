"""Is it a face at all, and is it the same one as before.

The same: compared is the light and shade of a face, laid upright by eyes and mouth, whatever its
brightness and contrast. From frame to frame it differs by 0.2 at most (1 less the correlation) in
talk, blinks and turns, by 0.5 at most where a hand or cloth comes and goes, by 0.66 to 1.2 where
another face has come in front of it. Measured on renders and real videos, with dlib and mesh.
Appearances of a head that turns by more than 12 degrees from one frame to the next cannot be
compared.

A face at all: 68 landmarks are compared with the mean head under weak perspective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from ...fitting.morphable_model.landmark_scheme import OUTER_EYE_CORNERS
from ...fitting.morphable_model.model_file import mean_landmarks
from .detector import Image

# Differences, between 0 and 2, from which it is another face: from the last frame's
# appearance and from all that are remembered, together; and from these where the last frame did
# not show the face.
STEP, CHANGED, OTHER = 0.55, 0.3, 0.4
# Turn between two frames, degrees, from which appearances are not compared.
TURN = 12.0
# Faces of others that are refused, in frames, before one of them is followed.
PATIENCE = 30
# A cut between two frames: mean difference in grey levels, and how much less than wholly they are
# correlated whatever their brightness and contrast; the second tells a cut from a flash.
CUT, CUT_SHAPE = 20.0, 0.2
# Differences at a cut up to which it is the same person for certain, seen from the same side; all
# else is another person as far as anybody can tell.
SAME_AFTER_CUT = 0.15

# Side of the patch that is compared; finer pixels that each of its own is the mean of.
_SIDE, _FINER = 16, 4
# Where the eyes and the mouth lie in the patch.
_PLACES = np.array([[4.0, 4.0], [11.0, 4.0], [7.5, 11.5]])
# An appearance that differs by this much from those remembered is remembered too.
_NEW, _MOST = 0.25, 8
# Confidence from which an appearance is that of a face alone, not half of another one before it.
_CLEAR = 0.8
# Contrast, in natural logarithms of grey levels, below which a face cannot be told from another.
_FLAT = 0.02
_DARK = 8.0  # grey levels added before the logarithm
_THUMBNAIL = (32, 24)

# Smallest distance between the outer eye corners, pixels: below, landmarks are guesses.
MINIMUM_INTER_OCULAR = 12.0
# Largest root mean square distance to the mean head, over its inter-ocular distance. Detected
# faces of real videos lie below 0.13 in wide smiles and at 45 degrees of yaw.
MAXIMUM_DEVIATION = 0.25
# Bounds of the affine camera: one scale in x and y, axes at right angles, seen from the front.
MAXIMUM_ANISOTROPY = 1.5
MAXIMUM_SHEAR = 0.35
MINIMUM_FACING = 0.2


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a face looks like.

    Attributes
    ----------
    patch : (16, 16) float32
        Logarithm of the grey levels, mean 0.
    view : (3,) float64
        Unit vector to the camera, in the head's axes.
    energy : float
        Sum of the patch's squares.
    """

    patch: npt.NDArray[np.float32]
    view: npt.NDArray[np.float64]
    energy: float = field(init=False)

    def __post_init__(self) -> None:
        flat = self.patch.ravel()
        object.__setattr__(self, "energy", float(flat @ flat))


class FaceMemory:
    """The appearances of one face: the last frame's, and different ones of the frames before.

    Parameters
    ----------
    returned : float
        Difference from which a face that was lost has not come back: it is another one.

    Attributes
    ----------
    person : int
        Rises by one where another person is followed from then on, or may be: after a cut.
    """

    def __init__(self, returned: float = OTHER) -> None:
        self._returned = returned
        self._refused: Appearance | None = None
        self.person = 0
        self._cut_before = False
        self._known: list[Appearance] = []
        self._last: Appearance | None = None
        self._new: Appearance | None = None
        self._image: Image | None = None
        self._patience = PATIENCE
        # The appearance whose change was asked for last, and that change.
        self._changed: tuple[Appearance, float] | None = None

    def is_other(self, image: Image, appearance: Appearance) -> bool:
        """Tell whether a face is not the one remembered; it never is after a cut.

        Parameters
        ----------
        image : (h, w, 3) uint8
            The frame that the face is in, RGB.
        appearance : Appearance
            The face's.

        Returns
        -------
        bool
            True where another face has come in front of it.
        """
        if not self._known:
            return False
        change = self._change(appearance)
        if self._last is None:
            # Expressions change while a face is lost; who was refused just now stays refused.
            refused = self._refused
            other = change > self._returned or (
                refused is not None and appearance_difference(appearance, refused) < change
            )
        else:
            step = appearance_difference(appearance, self._last)
            turned = float(appearance.view @ self._last.view) < np.cos(np.radians(TURN))
            other = change > CHANGED and step > STEP and not turned
        other = other and not self._is_cut(image)
        self._refused = appearance if other else self._refused
        return other

    def keep(self, image: Image, appearance: Appearance, confidence: float, *, anew: bool) -> None:
        """Remember an appearance.

        Parameters
        ----------
        image : (h, w, 3) uint8
            The frame, RGB.
        appearance : Appearance
            Of the followed face in this frame.
        confidence : float
            Of its landmarks, in [0, 1].
        anew : bool
            It is of a new track, which may be another face.
        """
        change = self._change(appearance)
        # Half hidden by another one, the face of the last frame is still the same face.
        same = self._last is not None and appearance_difference(appearance, self._last) <= STEP
        if (anew and change > OTHER and not same) or self._may_be_other(image, appearance):
            self._known.clear()
            self._changed = None
            self.person += 1
        if not self._known or (change > _NEW and confidence >= _CLEAR):
            self._known.append(appearance)
            if len(self._known) > _MOST:
                del self._known[1]
            self._changed = None
        self._new, self._refused = appearance, None
        self._patience = PATIENCE

    def _may_be_other(self, image: Image, appearance: Appearance) -> bool:
        """Whether there was a cut since the face was seen, to what is not the same for certain."""
        known = self._known if self._last is None else [self._last]
        nearest = min((appearance_difference(appearance, one) for one in known), default=0.0)
        return nearest > SAME_AFTER_CUT and self._is_cut(image)

    def _change(self, appearance: Appearance) -> float:
        """From the nearest of the known ones; a frame asks for it more than once."""
        if self._changed is None or self._changed[0] is not appearance:
            all_of_them = (appearance_difference(appearance, one) for one in self._known)
            self._changed = appearance, min(all_of_them, default=0.0)
        return self._changed[1]

    def refuse(self) -> bool:
        """Tell whether to wait for the face rather than to follow another; not for ever.

        Returns
        -------
        bool
            False when PATIENCE is over.
        """
        self._patience -= 1
        return self._patience >= 0

    def pass_on(self, image: Image) -> None:
        """End a frame: the next one is compared with it.

        Parameters
        ----------
        image : (h, w, 3) uint8
            The frame, RGB.
        """
        self._cut_before = self._new is None and self._known != [] and self._is_cut(image)
        self._image, self._last, self._new = image, self._new, None

    def _is_cut(self, image: Image) -> bool:
        """Whether there was a cut before this frame, since the last one that showed the face."""
        if self._cut_before:
            return True
        return self._image is not None and is_cut(self._image, image)


def is_cut(before: Image, image: Image) -> bool:
    """Tell whether there is a cut between two frames; a flash or a change of the light is none.

    Parameters
    ----------
    before, image : (h, w, 3) uint8
        RGB.

    Returns
    -------
    bool
        True where they are of different size, too.
    """
    if before.shape != image.shape:
        return True
    pair = [
        cv2.resize(one, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float64)
        for one in (before, image)
    ]
    if float(np.abs(pair[0] - pair[1]).mean()) <= CUT:
        return False
    one, other = (np.log(small + _DARK).mean(-1).ravel() for small in pair)
    one, other = one - one.mean(), other - other.mean()
    size = math.sqrt(float(one @ one) * float(other @ other))
    return size < len(one) * _FLAT**2 or 1.0 - float(one @ other) / size > CUT_SHAPE


def appearance_descriptor(image: Image, landmarks: npt.NDArray[np.float32]) -> Appearance:
    """Describe what a face looks like.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB.
    landmarks : (68, 2) float32
        The face's, source pixels.

    Returns
    -------
    Appearance
        Laid upright by eyes and mouth.
    """
    parts = (slice(36, 42), slice(42, 48), slice(48, 68))
    eyes_and_mouth = np.array([landmarks[part].mean(0) for part in parts], np.float32)
    fine = (_PLACES + 0.5) * _FINER - 0.5
    transform = cv2.getAffineTransform(eyes_and_mouth, fine.astype(np.float32))
    size = (_SIDE * _FINER, _SIDE * _FINER)
    patch = cv2.warpAffine(image, transform, size, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(patch, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = np.log(small.astype(np.float32) + np.float32(_DARK)).mean(-1)
    return Appearance(np.asarray(grey - grey.mean(), np.float32), view_direction(landmarks))


def appearance_difference(one: Appearance, other: Appearance) -> float:
    """Compare two appearances.

    Parameters
    ----------
    one, other : Appearance
        In any order.

    Returns
    -------
    float
        1 less their correlation, in [0, 2]; 0 where one of them is flat.
    """
    a, b = one.patch.ravel(), other.patch.ravel()
    size = math.sqrt(one.energy * other.energy) / len(a)
    return 0.0 if size < _FLAT**2 else 1.0 - float(a @ b) / len(a) / size


@dataclass(frozen=True)
class Plausibility:
    """How a set of landmarks agrees with the mean head.

    Attributes
    ----------
    deviation : float
        Root mean square distance over the inter-ocular distance.
    size : float
        Inter-ocular distance of the mean head in the image, pixels (not shortened by yaw).
    plausible : bool
        Whether it can be a face at all.
    middle : (float, float)
        Mean of the landmarks, source pixels; NaN where they are not finite.
    """

    deviation: float
    size: float
    plausible: bool
    middle: tuple[float, float] = (math.nan, math.nan)


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

    Parameters
    ----------
    landmarks : (68, 2) array_like
        Source pixels. Not finite ones are not plausible.

    Returns
    -------
    Plausibility
        How they agree with the mean head.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if not np.isfinite(landmarks).all():
        return Plausibility(float("inf"), 0.0, plausible=False)
    head, inverse, inter_ocular = _centred_landmarks()
    middle = landmarks.mean(0)
    centred = landmarks - middle
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
    x, y = middle.tolist()
    return Plausibility(deviation, size, plausible, (x, y))


def view_direction(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Tell where the camera is, seen from the mean head.

    Parameters
    ----------
    landmarks : (68, 2) array_like
        Of a plausible face, source pixels.

    Returns
    -------
    (3,) float64
        Unit vector in the head's axes.
    """
    points = np.asarray(landmarks, np.float64)
    _, inverse, _ = _centred_landmarks()
    camera = inverse @ (points - points.mean(0))
    (ax, bx), (ay, by), (az, bz) = camera.tolist()
    view = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    return np.asarray(view / max(math.sqrt(view @ view), 1e-12))
