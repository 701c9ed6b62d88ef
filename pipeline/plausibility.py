"""Whether 68 landmarks can be a face: compared with the mean head under weak perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..fitting.morphable_model.landmark_scheme import OUTER_EYE_CORNERS
from ..fitting.morphable_model.model_file import load_model

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
def _mean_head() -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centred mean landmarks (68, 3), y down; their pseudo-inverse (3, 68); inter-ocular size."""
    model = load_model()
    points = model.landmarks["anatomical"].on(model.mean) * [1.0, -1.0, -1.0]
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
    head, inverse, inter_ocular = _mean_head()
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
    _, inverse, _ = _mean_head()
    camera = inverse @ (points - points.mean(0))
    view = np.cross(camera[:, 0], camera[:, 1])
    return np.asarray(view / max(float(np.linalg.norm(view)), 1e-12))
