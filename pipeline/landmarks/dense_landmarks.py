"""Dense points of a backend, kept beside the 68 landmarks that a tracker follows."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from .detector import REFINED, Box, Detector, Image, Landmarks, Wrapped


class DenseBackend(Detector, Protocol):
    """A backend that knows more points of a face than 68."""

    dense_points: int

    def landmarks_dense(self, image: Image, box: Box) -> tuple[npt.NDArray[np.float32], float]:
        """Its points (d, 2) or with a depth (d, 3), float32, source pixels; confidence."""

    def landmarks_of(self, points: npt.NDArray[np.float32]) -> Landmarks:
        """The 68 landmarks (68, 2) of its points."""


class DenseDetector(Wrapped):
    """A backend, or one with the refiner behind it, whose dense points are at hand.

    Landmarks, boxes and confidences are the backend's own.
    """

    def __init__(self, detector: Detector) -> None:
        """Raises UsageError where the backend has no dense points."""
        super().__init__(detector)
        if not hasattr(self.innermost, "landmarks_dense"):
            raise UsageError(
                f"detector {detector.name}: has no dense points; take mesh or mesh{REFINED}, or "
                "leave out --dense"
            )
        self._dense = cast(DenseBackend, self.innermost)
        self.count = self._dense.dense_points
        self._seen: list[tuple[Landmarks, Landmarks]] = []

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """As the backend does; the dense points are kept until `dense_of`."""
        points, confidence = self._dense.landmarks_dense(image, box)
        landmarks = self.refined(image, self._dense.landmarks_of(points))
        self._seen.append((landmarks, np.ascontiguousarray(points[:, :2], np.float32)))
        return landmarks, confidence

    def dense_of(self, landmarks: Landmarks) -> npt.NDArray[np.float32]:
        """The dense points (count, 2) found with those very landmarks, NaN where with none.

        To be asked once a frame: what was found for it is forgotten.
        """
        found = next((dense for own, dense in self._seen if own is landmarks), None)
        self._seen.clear()
        return np.full((self.count, 2), np.nan, np.float32) if found is None else found

    def latest(self) -> npt.NDArray[np.float32]:
        """The dense points (count, 2) found last; all are forgotten."""
        dense = self._seen[-1][1]
        self._seen.clear()
        return dense
