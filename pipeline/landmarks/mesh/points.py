"""The 478 points, and the 68 among them.

How many points MediaPipe's face mesh has, and which of them are the irises'.

Point numbers as in MediaPipe's model; "right" and "left" are the person's, where MediaPipe's own
files name the eyes as the viewer sees them.

The 68 landmarks as points on MediaPipe's mesh: each a weighted mean of up to three points.

Points are taken from the border that the landmark lies on alone (lid rim, lip border, face oval),
so that it moves as that border does. Where along it, follows the anatomical landmarks of the
morphable model on 150 random renders and Multi-PIE's even spacing of the jaw; brows lie between
the mesh's upper and lower border of the hair, nearer the upper.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import MIRROR

# Points of the face's surface; 2 x 5 of the irises follow.
MESH_POINTS = 468
COUNT = 478

# An iris: centre, then right, top, left and bottom edge as the viewer sees them.
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)


# For each landmark of the middle and the right half: point -> weight, weights of sum 1.
_POINTS: dict[int, dict[int, float]] = {
    0: {127: 1.0},
    1: {234: 0.7, 93: 0.3},
    2: {93: 0.4, 132: 0.6},
    3: {132: 0.25, 58: 0.75},
    4: {58: 0.1, 172: 0.9},
    5: {136: 0.84, 150: 0.16},
    6: {150: 0.37, 149: 0.63},
    7: {176: 0.67, 148: 0.33},
    8: {152: 1.0},
    17: {70: 0.5, 46: 0.5},
    18: {63: 0.65, 53: 0.35},
    19: {105: 0.65, 52: 0.35},
    20: {66: 0.65, 65: 0.35},
    21: {107: 0.4, 55: 0.6},
    27: {168: 0.5, 6: 0.5},
    28: {197: 1.0},
    29: {195: 0.4, 5: 0.6},
    30: {4: 0.7, 1: 0.3},
    31: {98: 0.6, 97: 0.4},
    32: {97: 0.85, 2: 0.15},
    33: {2: 1.0},
    36: {33: 1.0},
    37: {160: 0.8, 161: 0.2},
    38: {158: 1.0},
    39: {133: 0.6, 155: 0.2, 173: 0.2},
    40: {153: 0.8, 145: 0.2},
    41: {144: 0.8, 163: 0.2},
    48: {61: 1.0},
    49: {39: 0.65, 40: 0.35},
    50: {37: 0.85, 39: 0.15},
    51: {0: 1.0},
    57: {17: 1.0},
    58: {84: 0.8, 181: 0.2},
    59: {91: 0.65, 181: 0.35},
    60: {78: 1.0},
    61: {81: 0.6, 82: 0.4},
    62: {13: 1.0},
    66: {14: 1.0},
    67: {178: 0.6, 87: 0.4},
}
# The points above on the left half; those of the middle have none.
_LEFT_OF = {
    **{127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 149: 378},
    **{176: 400, 148: 377, 70: 300, 46: 276, 63: 293, 53: 283, 105: 334, 52: 282, 66: 296},
    **{65: 295, 107: 336, 55: 285, 98: 327, 97: 326, 33: 263, 160: 387, 161: 388, 158: 385},
    **{133: 362, 155: 382, 173: 398, 153: 380, 145: 374, 144: 373, 163: 390, 61: 291, 39: 269},
    **{40: 270, 37: 267, 78: 308, 81: 311, 82: 312, 178: 402, 87: 317, 91: 321, 181: 405, 84: 314},
}


@lru_cache(maxsize=1)
def mesh_weights() -> npt.NDArray[np.float64]:
    """(68, 478): the weight of each mesh point in each landmark; rows sum to 1."""
    weights = np.zeros((LANDMARKS, COUNT))
    for landmark, parts in _POINTS.items():
        for point, weight in parts.items():
            weights[landmark, point] = weight
            weights[MIRROR[landmark], _LEFT_OF.get(point, point)] = weight
    return weights


def landmarks_from_mesh(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Landmarks (..., 68, k) of mesh points (..., 478, k), the same unit."""
    return np.asarray(mesh_weights() @ points, np.float32)
