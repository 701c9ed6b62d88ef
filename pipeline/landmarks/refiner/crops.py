"""The square in which the refiner sees a face: a similarity lays its landmarks on a template."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import INNER, MIRROR
from ...images.crops import Image, face_view

SIDE = 112  # pixels
BORDER_GREY = 128

# The face that the crop is laid out for, in sides of the crop, x right and y down: landmarks of the
# morphable model's mean seen from the front. Those of the right half and the middle.
_RIGHT_HALF: dict[int, tuple[float, float]] = {
    **dict(enumerate([(0.093, 0.228), (0.090, 0.333), (0.096, 0.445), (0.114, 0.555)])),
    **dict(enumerate([(0.148, 0.666), (0.218, 0.761), (0.308, 0.827), (0.405, 0.870)], 4)),
    8: (0.5, 0.881),
    **dict(enumerate([(0.222, 0.161), (0.264, 0.134), (0.321, 0.119), (0.391, 0.128)], 17)),
    21: (0.448, 0.148),
    **dict(enumerate([(0.5, 0.214), (0.5, 0.286), (0.5, 0.374), (0.5, 0.446)], 27)),
    **dict(enumerate([(0.431, 0.488), (0.466, 0.496), (0.5, 0.5)], 31)),
    **dict(enumerate([(0.253, 0.221), (0.285, 0.205), (0.342, 0.202), (0.382, 0.229)], 36)),
    **dict(enumerate([(0.334, 0.246), (0.286, 0.244)], 40)),
    **dict(enumerate([(0.368, 0.613), (0.409, 0.582), (0.459, 0.567), (0.5, 0.567)], 48)),
    **dict(enumerate([(0.5, 0.702), (0.450, 0.694), (0.401, 0.676)], 57)),
    **dict(enumerate([(0.372, 0.626), (0.441, 0.623), (0.5, 0.627)], 60)),
    **dict(enumerate([(0.5, 0.627), (0.441, 0.624)], 66)),
}

Floats = npt.NDArray[np.float64]


def _template() -> Floats:
    points = np.empty((len(MIRROR), 2))
    for landmark, (x, y) in _RIGHT_HALF.items():
        points[landmark] = x, y
        points[MIRROR[landmark]] = 1.0 - x, y
    return points


# (68, 2) float64, sides of the crop.
TEMPLATE = _template()


def crop_transform(landmarks: npt.NDArray[np.floating], side: int = SIDE) -> Floats:
    """The similarity (2, 3) float64 from source pixels to the crop's of `side` pixels.

    landmarks: (68, 2), source pixels; the inner 51 are laid on the template by least squares
    (Umeyama 1991, without reflection). Raises ValueError where they are not finite or coincide.
    """
    inner = list(INNER)
    target = side * TEMPLATE[inner] - 0.5
    points = np.asarray(landmarks, np.float64)[inner]
    middle, goal = points.mean(0), target.mean(0)
    (x, y), (u, v) = (points - middle).T, (target - goal).T
    size = float(x @ x + y @ y)
    if not math.isfinite(size) or size < 1e-6:
        raise ValueError("no crop: the landmarks coincide or are not finite")
    cosine, sine = float(x @ u + y @ v) / size, float(x @ v - y @ u) / size
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, goal - linear @ middle])


def crop_of(image: Image, transform: Floats, side: int = SIDE) -> Image:
    """The crop (side, side, 3) uint8 of an image (h, w, 3); grey beyond it.

    Where the face is large, pixels are averaged, so that the crop does not sparkle.
    """
    scale = math.hypot(transform[0, 0], transform[1, 0])
    finer = max(min(round(1.0 / max(scale, 1e-6)), 8), 1)
    return face_view(image, transform, side, finer, border=BORDER_GREY)


def level_of(crop: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Of a crop (SIDE, SIDE, 3): what `levelled` subtracts, then multiplies by."""
    mean, deviation = cv2.meanStdDev(crop.reshape(SIDE, -1))
    return float(mean[0, 0]), 1.0 / (float(deviation[0, 0]) + 4.0)


def to_crop(points: npt.NDArray[np.floating], transform: Floats) -> Floats:
    """Points (..., 2) of source pixels in the crop."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def to_source(points: npt.NDArray[np.floating], transform: Floats) -> Floats:
    """Points (..., 2) of the crop in source pixels."""
    return np.asarray((points - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T)


def covariance_to_source(covariance: npt.NDArray[np.floating], transform: Floats) -> Floats:
    """Covariances (..., 2, 2) of the crop, square pixels, in the source's."""
    back = np.linalg.inv(transform[:, :2])
    return np.asarray(back @ covariance @ back.T)
