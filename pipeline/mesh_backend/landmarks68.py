"""The 68 landmarks as points on MediaPipe's mesh: each a mean of up to three of its points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...fitting.landmark_scheme import COUNT as LANDMARKS
from .mesh_points import COUNT

# For each landmark: point -> weight, weights of sum 1.
_POINTS: dict[int, dict[int, float]] = {
    **{
        number: {point: 1.0}
        for number, point in enumerate(
            (
                *(127, 234, 93, 132, 58, 136, 150, 176, 152),
                *(400, 379, 365, 288, 361, 323, 454, 356),
                *(70, 63, 105, 66, 107),
                *(336, 296, 334, 293, 300),
                *(168, 197, 5, 4),
                *(98, 97, 2, 326, 327),
                *(33, 160, 158, 133, 153, 144),
                *(362, 385, 387, 263, 373, 380),
                *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
                *(78, 82, 13, 312, 308, 317, 14, 87),
            )
        )
    },
}


@lru_cache(maxsize=1)
def _weights() -> npt.NDArray[np.float64]:
    weights = np.zeros((LANDMARKS, COUNT))
    for landmark, parts in _POINTS.items():
        for point, weight in parts.items():
            weights[landmark, point] = weight
    return weights


def landmarks_from_mesh(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Landmarks (..., 68, k) of mesh points (..., 478, k), the same unit."""
    return np.asarray(_weights() @ points, np.float32)
