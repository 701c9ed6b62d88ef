"""The protocol of a backend, Box and TurnedBox.

Landmark backends: the protocol that one fulfils, and how it is found by name.

A face's box that also knows how the face is turned in the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

# Ending of a backend's name whose landmarks the refiner goes over.
REFINED = "+refiner"

# What the 68 points mean: iBUG's annotations of 300-W, as the field's scripts take them; or the
# points of the embedded model, which the refiner learnt from renders.
IBUG, ANATOMICAL = "ibug68", "anatomical"


class Box(NamedTuple):
    """A face's rectangle, source pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Square pixels; 0 where empty."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)


def landmark_definition(name: str) -> str:
    """What the 68 points of a backend mean, which shards state: IBUG or ANATOMICAL."""
    return ANATOMICAL if name.endswith(REFINED) else IBUG


class Detector(Protocol):
    """A backend. It keeps no memory of images: equal arguments give equal results.

    Boxes of turned faces are a `TurnedBox`; landmarks of a backend that does not heed them are not
    taken for valid ones. An attribute `upright_from` may tell the score of `detect` from which a
    face is upright for certain, so that it need not be looked at again.
    """

    name: str
    version: str

    def detect(
        self, image: npt.NDArray[np.uint8], *, thorough: bool = False
    ) -> list[tuple[Box, float]]:
        """Faces of an image (h, w, 3) uint8 RGB: boxes with scores in [0, 1].

        thorough: look for small faces too, at more cost.
        """

    def landmarks(
        self, image: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Landmarks (68, 2) float32, source pixels, of a box's face; confidence in [0, 1]."""

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """The box that `detect` would give to the face with these landmarks."""


class BatchDetector(Detector, Protocol):
    """A backend that is faster with the faces of several frames at once."""

    batch: int

    def landmarks_of_batch(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Box]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As `landmarks` for n images, each with its box: (n, 68, 2) and confidences (n,)."""


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    both = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area
    union = one.area + other.area - both
    return both / union if union > 0 else 0.0


Landmarks = npt.NDArray[np.float32]

# What a backend that only knows upright faces turns images by, so that none is off by more than
# half of it, radians.
TURN = math.pi / 4


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


def is_upside_down(box: Box) -> bool:
    """Whether a face is more than a quarter turn from upright; not, where its box does not know."""
    return math.cos(angle_of(box)) < 0.0


def nearest_turn(angle: float) -> float:
    """The nearest multiple of TURN, in (-pi, pi]."""
    steps = round(angle / TURN) % 8
    return (steps if steps <= 4 else steps - 8) * TURN


def rotation(angle: float) -> npt.NDArray[np.float64]:
    """(2, 2): turns a vector from x towards y."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def landmark_angle(landmarks: Landmarks) -> float:
    """How a face (68, 2) is turned, by the way from its eyes to its mouth: in profile too."""
    x, y = landmarks[48:].mean(0, dtype=float) - landmarks[36:48].mean(0, dtype=float)
    return math.atan2(-x, y)


def box_of_turned(
    box_of_upright: Callable[[Landmarks], Box], landmarks: Landmarks, turn: float
) -> Box:
    """A backend's box around turned landmarks (68, 2), from how it gives upright ones theirs."""
    if turn == 0.0:
        return box_of_upright(landmarks)
    turned = rotation(turn)
    box = box_of_upright((landmarks @ turned).astype(np.float32))
    x, y = turned @ [(box.left + box.right) / 2, (box.top + box.bottom) / 2]
    across, down = (box.right - box.left) / 2, (box.bottom - box.top) / 2
    return TurnedBox(x - across, y - down, x + across, y + down, turn)
