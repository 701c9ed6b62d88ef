"""Which points of MediaPipe's face mesh lie where: lips, eyes with brows, irises.

Point numbers as in MediaPipe's model (its options `subset_idxs`); "right" and "left" are the
person's, where MediaPipe's own files name the eyes as the viewer sees them.
"""

from __future__ import annotations

from typing import NamedTuple

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
