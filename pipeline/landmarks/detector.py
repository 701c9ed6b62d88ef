"""Landmark backends: the protocol that one fulfils, and how it is found by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

# Ending of a backend's name whose landmarks the refiner goes over.
REFINED = "+refiner"


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
