"""Refinement, and the refined backend.

Refines the landmarks of any backend: images and first landmarks -> landmarks and covariances.

A backend whose landmarks are refined: `mesh+refiner` is `mesh` and the refiner after it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..detector import REFINED, Box, Detector, Wrapped
from .crops import SIDE, covariance_to_source, crop_of, crop_transform, to_crop, to_source
from .network import WEIGHTS_PATH, Refiner, levelled, network_of, read_weights
from .photograph_refiner import PhotographRefiner

Image = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Runs after which a traced network is as fast as it gets.
_WARM_UP = 3


class LandmarkRefiner:
    """The network, ready to run: one face at a time on one core, so that no batch changes a sum."""

    ending = REFINED  # of the name of a backend that is refined

    def __init__(self, network: Refiner, version: str = "untrained") -> None:
        """network: set to evaluation; version: what it is told apart by."""
        self.version = version
        self._run = _straight(network)

    def refine(
        self, images: Sequence[Image], landmarks: npt.NDArray[np.floating]
    ) -> tuple[Float32, Float32]:
        """Landmarks (n, 68, 2) and their covariances (n, 68, 2, 2), float32, source pixels.

        images: n of (h, w, 3) uint8 RGB. landmarks: (n, 68, 2), the first ones, source pixels.
        Where they are not finite or coincide, the result is NaN.
        """
        points = np.full((len(images), 68, 2), np.nan, np.float32)
        covariances = np.full((len(images), 68, 2, 2), np.nan, np.float32)
        for place, (image, first) in enumerate(zip(images, landmarks, strict=True)):
            try:
                transform = crop_transform(first)
            except ValueError:
                continue
            if math.hypot(transform[0, 0], transform[1, 0]) < 1e-4:
                continue
            found, factors = self._in_crop(crop_of(image, transform), to_crop(first, transform))
            points[place] = to_source(found, transform)
            covariances[place] = covariance_to_source(factors @ factors.swapaxes(-1, -2), transform)
        return points, covariances

    def _in_crop(
        self, crop: Image, first: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                near = torch.from_numpy(first.astype(np.float32))[None]
                points, factors = self._run(levelled(crop[None]), near)
        finally:
            torch.set_num_threads(threads)
        return points[0].numpy().astype(np.float64), factors[0].numpy().astype(np.float64)


def refine(images: Sequence[Image], landmarks: npt.NDArray[np.floating]) -> tuple[Float32, Float32]:
    """As `LandmarkRefiner.refine` with the weights of this glee. Raises WeightsError."""
    return load_refiner().refine(images, landmarks)


@lru_cache(maxsize=2)
def load_refiner(path: Path = WEIGHTS_PATH) -> LandmarkRefiner:
    """The refiner of a weights file, made once a process and kept. Raises WeightsError."""
    weights = read_weights(path)
    return LandmarkRefiner(network_of(weights), weights.version)


def _straight(network: Refiner) -> Any:
    """The network for one crop as a straight list of operations, norms folded in."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    crop = torch.zeros(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    first = torch.zeros(1, 68, 2)
    trace: Any = torch.jit.trace
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch deprecates tracing in favour of compilers, which users do not have.
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(trace(network, (crop, first), check_trace=False))
        for _ in range(_WARM_UP):
            traced(crop, first)
    return traced


class RefinedDetector(Wrapped):
    """A backend with the refiner behind its landmarks; faces and confidence are the backend's."""

    def __init__(
        self, backend: Detector, refiner: LandmarkRefiner | PhotographRefiner | None = None
    ) -> None:
        """Without a refiner that of this glee; raises WeightsError where it cannot be read."""
        super().__init__(backend)
        self._refiner = refiner or load_refiner()
        self.name = f"{backend.name}{self._refiner.ending}"
        self.version = f"{backend.version}+{self._refiner.version}"

    def landmarks(self, image: Image, box: Box) -> tuple[Float32, float]:
        """Refined landmarks (68, 2) float32, source pixels; the backend's confidence."""
        first, confidence = self.backend.landmarks(image, box)
        return self.refined(image, first), confidence

    def refined(self, image: Image, landmarks: Float32) -> Float32:
        """What the refiner makes of landmarks (68, 2), source pixels."""
        points, _ = self._refiner.refine([image], landmarks[None])
        return np.asarray(points[0], np.float32)
