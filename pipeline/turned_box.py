"""A face's box that also knows how the face is turned in the image."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .landmarks import Box

Landmarks = npt.NDArray[np.float32]


class TurnedBox(Box):
    """A `Box` of four numbers with an angle beside them; equal to a `Box` where the angle is 0.

    angle: of the line from the right to the left eye, radians, from x towards y.
    """

    angle: float

    def __new__(
        cls, left: float, top: float, right: float, bottom: float, angle: float
    ) -> TurnedBox:
        """The box around a face that is turned by `angle` about the box's middle."""
        box = super().__new__(cls, left, top, right, bottom)
        box.angle = angle
        return box

    def __eq__(self, other: object) -> bool:
        """Equal sides and angles."""
        same = isinstance(other, Box) and tuple(self) == tuple(other)
        return same and self.angle == angle_of(other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        """As `==` has it, not as tuples do."""
        return not self == other

    def __hash__(self) -> int:
        """As that of a `Box`."""
        return hash(tuple(self))


def angle_of(box: Box) -> float:
    """A box's angle, radians; 0 where it does not know it."""
    return box.angle if isinstance(box, TurnedBox) else 0.0


def turned_over(box: Box) -> TurnedBox:
    """The same box for a face that is the other way up."""
    return TurnedBox(*box, angle_of(box) + math.pi)


def is_upside_down(box: Box) -> bool:
    """Whether a face is more than a quarter turn from upright; not, where its box does not know."""
    return math.cos(angle_of(box)) < 0.0


def are_upside_down(landmarks: Landmarks) -> bool:
    """Whether the mouth is above the eyes in the image. landmarks: (68, 2)."""
    return bool(landmarks[48:, 1].mean() < landmarks[36:48, 1].mean())


def box_either_way_up(box_of_upright: Callable[[Landmarks], Box], landmarks: Landmarks) -> Box:
    """A backend's box around landmarks (68, 2), where it only knows that of upright ones."""
    if not are_upside_down(landmarks):
        return box_of_upright(landmarks)
    box = box_of_upright(-landmarks)
    return TurnedBox(-box.right, -box.bottom, -box.left, -box.top, math.pi)
