"""A face's box that also knows how the face is turned in the image."""

from __future__ import annotations

import math

from ..landmarks import Box


class TurnedBox(Box):
    """A `Box` of four numbers with an angle beside them.

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


def angle_of(box: Box) -> float:
    """A box's angle, radians; 0 where it does not know it."""
    return box.angle if isinstance(box, TurnedBox) else 0.0


def turned_over(box: Box) -> TurnedBox:
    """The same box for a face that is the other way up."""
    return TurnedBox(*box, angle_of(box) + math.pi)
