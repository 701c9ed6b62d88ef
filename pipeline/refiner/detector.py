"""A backend whose landmarks are refined: `mesh+refiner` is `mesh` and the refiner after it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..landmarks.detector import REFINED, Box, Detector
from ..landmarks.refiner.refine import LandmarkRefiner, load_refiner


class RefinedDetector:
    """A backend with the refiner behind its landmarks; faces and confidence are the backend's."""

    def __init__(self, backend: Detector, refiner: LandmarkRefiner | None = None) -> None:
        """Without a refiner that of this glee; raises WeightsError where it cannot be read."""
        self.backend = backend
        self._refiner = refiner or load_refiner()
        self.name = f"{backend.name}{REFINED}"
        self.upright_from = getattr(backend, "upright_from", math.inf)
        self.version = f"{backend.version}+{self._refiner.version}"

    def detect(
        self, image: npt.NDArray[np.uint8], *, thorough: bool = False
    ) -> list[tuple[Box, float]]:
        """As the backend does."""
        return self.backend.detect(image, thorough=thorough)

    def landmarks(
        self, image: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Refined landmarks (68, 2) float32, source pixels; the backend's confidence."""
        first, confidence = self.backend.landmarks(image, box)
        return self.refined(image, first), confidence

    def refined(
        self, image: npt.NDArray[np.uint8], first: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """What the refiner makes of landmarks (68, 2), source pixels."""
        points, _ = self._refiner.refine([image], first[None])
        return np.asarray(points[0], np.float32)

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """As the backend does."""
        return self.backend.box_of(landmarks)
