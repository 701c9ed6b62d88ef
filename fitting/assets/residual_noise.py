"""How a detector errs beside the model's points on renders: bias and covariance, also by yaw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..camera import Camera
from ..initial_pose import normalise, yaw_of
from ..morphable_model.landmark_noise import LandmarkNoise, YawNoise
from ..morphable_model.landmark_scheme import MIRROR, OUTER_EYE_CORNERS

Floats = NDArray[np.float64]

# Between the ranges of yaw: turned to the right, ahead, turned to the left. Both numbers are near
# the best for faces left out of the estimate, with dlib and mesh on 360 renders.
LIMITS = np.radians([-10.0, 10.0])
# So many faces of all ranges count beside those of a range.
FACES_OF_ALL = 136


def residual_noise(detected: Floats, truth: Floats, yaw: Floats) -> LandmarkNoise:
    """Bias and covariance as LandmarkNoise describes them, of all faces and by yaw.

    detected, truth: (n, 68, 2) pixels. yaw: (n,) radians, as `measured_yaw` has it. Each face
    counts twice, as it is and mirrored, so that both sides have the same noise.
    """
    residual = _level(detected, truth)
    both = np.concatenate([residual, residual[:, MIRROR] * (-1.0, 1.0)])
    ranges = np.searchsorted(LIMITS, np.concatenate([yaw, -yaw]))
    bias, covariance = _moments(both)
    biases, covariances = [], []
    for k in range(len(LIMITS) + 1):
        own = both[ranges == k]
        share = len(own) / (len(own) + FACES_OF_ALL)
        own_bias, own_covariance = _moments(own) if len(own) else (bias, covariance)
        biases.append(bias + share * (own_bias - bias))
        covariances.append(covariance + share * (own_covariance - covariance))
    by_yaw = YawNoise(
        LIMITS.astype(np.float32),
        np.stack(biases).astype(np.float32),
        np.stack(covariances).astype(np.float32),
    )
    return LandmarkNoise(bias.astype(np.float32), covariance.astype(np.float32), by_yaw)


def measured_yaw(detected: Floats, camera: Camera, mean: Floats) -> Floats:
    """Yaw (n,) as the fit finds it in detected landmarks (n, 68, 2), radians.

    mean: (68, 3) the landmarks of the mean face.
    """
    return yaw_of(normalise(detected, np.ones(detected.shape[:2]), camera, mean), mean)


def _level(detected: Floats, truth: Floats) -> Floats:
    """Detected less true (n, 68, 2), faces level, in inter-ocular distances."""
    right, left = OUTER_EYE_CORNERS
    axis = truth[:, left] - truth[:, right]
    scale = np.linalg.norm(axis, axis=1)
    x = axis / scale[:, None]
    turn = np.stack([x, np.stack([-x[:, 1], x[:, 0]], 1)], 1)
    level = np.einsum("nab,nib->nia", turn, detected - truth) / scale[:, None, None]
    return np.asarray(level)


def _moments(residual: Floats) -> tuple[Floats, Floats]:
    """Mean (68, 2) and covariance (136, 136) of residuals (n, 68, 2)."""
    bias = residual.mean(0)
    flat = (residual - bias).reshape(len(residual), -1)
    return bias, flat.T @ flat / len(flat)
