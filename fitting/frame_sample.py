"""A few frames that stand for many: spread over poses and expressions, the same ones each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .morphable_model.landmark_scheme import OUTER_EYE_CORNERS

# Share of the frames farthest from the middle that is left out: mostly failed landmarks.
_OUTLIERS = 0.03


def spread_sample(landmarks: ArrayLike, count: int) -> NDArray[np.int64]:
    """Indices of up to `count` frames, ascending, that lie far apart in pose and expression.

    Farthest point sampling on the landmarks without position, size and tilt, from the frame nearest
    to the middle on.

    landmarks: (n, 68, 2), any unit; frames with NaN are never chosen.
    """
    landmarks = np.asarray(landmarks, np.float64)
    usable = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    if len(usable) <= count:
        return usable
    shapes = _normalised(landmarks[usable])
    distance = ((shapes - np.median(shapes, axis=0)) ** 2).sum(1)
    inner = np.argsort(distance, kind="stable")[: max(count, round(len(usable) * (1 - _OUTLIERS)))]
    inner.sort()
    shapes, distance = shapes[inner], distance[inner]
    chosen = [int(np.argmin(distance))]
    nearest = ((shapes - shapes[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((shapes - shapes[chosen[-1]]) ** 2).sum(1))
    return np.unique(usable[inner[chosen]])


def _normalised(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks (n, 68, 2) centred, of unit size, the eye line level -> (n, 136)."""
    shapes = landmarks - landmarks.mean(1, keepdims=True)
    shapes /= np.sqrt((shapes**2).sum((1, 2), keepdims=True)) + 1e-12
    right, left = OUTER_EYE_CORNERS
    eyes = shapes[:, left] - shapes[:, right]
    angle = np.arctan2(eyes[:, 1], eyes[:, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    level = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], 1)
    turned = np.einsum("nij,nkj->nki", level, shapes)
    return np.asarray(turned.reshape(len(turned), -1))
