"""The 478 points, and the 68 among them.

Which points of MediaPipe's face mesh lie where: lips, eyes with brows, irises.

Point numbers as in MediaPipe's model (its options `subset_idxs`); "right" and "left" are the
person's, where MediaPipe's own files name the eyes as the viewer sees them.

The 68 landmarks as points on MediaPipe's mesh: each a weighted mean of up to three points.

Points are taken from the border that the landmark lies on alone (lid rim, lip border, face oval),
so that it moves as that border does. Where along it, follows the anatomical landmarks of the
morphable model on 150 random renders and Multi-PIE's even spacing of the jaw; brows lie between
the mesh's upper and lower border of the hair, nearer the upper.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import MIRROR

# Points of the trunk's mesh; 2 x 5 of the irises follow.
MESH_POINTS = 468
COUNT = 478


class Window(NamedTuple):
    """What a window is laid around. points: in the order in which its branch gives them.

    level: two points on a line that is level in the window.
    """

    points: tuple[int, ...]
    level: tuple[int, int]


class Branch(NamedTuple):
    """points: those that a branch gives, in its order. window: what it looks into."""

    points: tuple[int, ...]
    window: int


_LIPS = Window(
    (
        # Outer border: lower from corner to corner, then upper between the corners.
        *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        *(185, 40, 39, 37, 0, 267, 269, 270, 409),
        # Inner border.
        *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
        *(191, 80, 81, 82, 13, 312, 311, 310, 415),
        # Between, nearer the outer border.
        *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
        *(184, 74, 73, 72, 11, 302, 303, 304, 408),
        # Between, nearer the inner border.
        *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
        *(183, 42, 41, 38, 12, 268, 271, 272, 407),
    ),
    level=(61, 291),
)
_RIGHT_EYE = Window(
    (
        # The lids' rims, 16 points: lower from corner to corner, upper between the corners.
        *(33, 7, 163, 144, 145, 153, 154, 155, 133),
        *(246, 161, 160, 159, 158, 157, 173),
        # Rings around them, then the brow's lower and upper border.
        *(130, 25, 110, 24, 23, 22, 26, 112, 243),
        *(247, 30, 29, 27, 28, 56, 190),
        *(226, 31, 228, 229, 230, 231, 232, 233, 244),
        *(113, 225, 224, 223, 222, 221, 189),
        *(35, 124, 46, 53, 52, 65),
        *(143, 111, 117, 118, 119, 120, 121, 128, 245),
        *(156, 70, 63, 105, 66, 107, 55, 193),
    ),
    level=(33, 133),
)
_LEFT_EYE = Window(
    (
        *(263, 249, 390, 373, 374, 380, 381, 382, 362),
        *(466, 388, 387, 386, 385, 384, 398),
        *(359, 255, 339, 254, 253, 252, 256, 341, 463),
        *(467, 260, 259, 257, 258, 286, 414),
        *(446, 261, 448, 449, 450, 451, 452, 453, 464),
        *(342, 445, 444, 443, 442, 441, 413),
        *(265, 353, 276, 283, 282, 295),
        *(372, 340, 346, 347, 348, 349, 350, 357, 465),
        *(383, 300, 293, 334, 296, 336, 285, 417),
    ),
    level=(362, 263),
)
WINDOWS = (_LIPS, _RIGHT_EYE, _LEFT_EYE)
# The windows on eyes, and how many of their points, the first ones, lie on the lids' rims.
EYES = (1, 2)
RIM_POINTS = 16

# An iris: centre, then right, top, left and bottom edge as the viewer sees them.
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
IRIS_POINTS = 5

BRANCHES = (
    Branch(_LIPS.points, 0),
    Branch(_RIGHT_EYE.points, 1),
    Branch(RIGHT_IRIS, 1),
    Branch(_LEFT_EYE.points, 2),
    Branch(LEFT_IRIS, 2),
)


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
