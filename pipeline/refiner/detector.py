"""A backend whose landmarks are refined: `mesh+refiner` is `mesh` and the refiner after it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..landmarks import REFINED, Box, Detector
from .apply import LandmarkRefiner, load_refiner


class RefinedDetector:
    """A backend with the refiner behind its landmarks; faces and confidence are the backend's."""

    def __init__(self, backend: Detector, refiner: LandmarkRefiner | None = None) -> None:
        """Without a refiner that of this glee; raises WeightsError where it cannot be read."""
        self._backend = backend
        self._refiner = refiner or load_refiner()
        self.name = f"{backend.name}{REFINED}"
        self.version = f"{backend.version}+{self._refiner.version}"

    def detect(
        self, image: npt.NDArray[np.uint8], *, thorough: bool = False
    ) -> list[tuple[Box, float]]:
        """As the backend does."""
        return self._backend.detect(image, thorough=thorough)

    def landmarks(
        self, image: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Refined landmarks (68, 2) float32, source pixels; the backend's confidence."""
        first, confidence = self._backend.landmarks(image, box)
        points, _ = self._refiner.refine([image], first[None])
        return points[0], confidence

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """As the backend does."""
        return self._backend.box_of(landmarks)
