"""Refinement, and the refined backend.

Refines the landmarks of any backend: images and first landmarks -> landmarks and covariances.

The network of `network.py` is run by ncnn, which takes half of torch's time on one core.

A backend whose landmarks are refined: `mesh+refiner` is `mesh` and the refiner after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ....errors import WeightsError
from ....fitting.morphable_model.landmark_scheme import COUNT
from ..detector import REFINED, Box, Detector, Wrapped
from ..mesh.engines.ncnn_graph import Graph, Network, matrix, pixels_of
from .crops import (
    SIDE,
    covariance_to_source,
    crop_of,
    crop_transform,
    level_of,
    to_crop,
    to_source,
)
from .weights import (
    FEATURES,
    LARGEST_CORNER,
    LARGEST_DEVIATION,
    LARGEST_OFFSET,
    LEAST_DEVIATION,
    NORM_EPSILON,
    STRIDE,
    WEIGHTS_PATH,
    read_weights,
)

if TYPE_CHECKING:
    from .photograph_refiner import PhotographRefiner

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
State = Mapping[str, Float32]

# Of the cells of a heat map: the crop's pixels along a side, and x and y of each.
_CENTRES = (np.arange(SIDE // STRIDE) + 0.5) * STRIDE - 0.5
_CELLS = np.stack(np.meshgrid(_CENTRES, _CENTRES), -1).reshape(-1, 2).astype(np.float32)
# Names of the graph's inputs.
CROP, PARABOLA = "crop", "parabola"
# What runs the network, as a backend's version states it: another gives other bits.
ENGINE = "ncnn"


class LandmarkRefiner:
    """The network, ready to run: one face at a time on one core, so that no batch changes a sum."""

    ending = REFINED  # of the name of a backend that is refined

    def __init__(self, state: State, version: str = "untrained") -> None:
        """state: the network's parameters; version: what it is told apart by.

        Raises ImportError where ncnn is not installed.
        """
        self.version = version
        self._network = Network(*_graph(state))
        self._steepness = -np.exp(state["steepness"])[:, None, None] / (STRIDE * STRIDE)
        self._head, self._head_bias = state["head"], state["head_bias"]

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

    def _in_crop(self, crop: Image, first: Floats) -> tuple[Floats, Floats]:
        """Points (68, 2) and factors (68, 2, 2), the crop's pixels. See `network.Refiner`."""
        # Of x and y apart, then their sums: an outer one a landmark.
        apart = (self._steepness * (_CENTRES - first[:, :, None]) ** 2).astype(np.float32)
        parabola = apart[:, 1, :, None] + apart[:, 0, None]
        found = self._network.run(
            {CROP: pixels_of(crop, *level_of(crop)), PARABOLA: matrix(parabola)}
        )
        numbers = (found["seen"][:, None] @ self._head)[:, 0] + self._head_bias
        offset = LARGEST_OFFSET * np.tanh(numbers[:, :2] / LARGEST_OFFSET)
        factors = np.zeros((68, 2, 2))
        deviation = np.exp(numbers[:, 2:4]).clip(LEAST_DEVIATION, LARGEST_DEVIATION)
        factors[:, 0, 0], factors[:, 1, 1] = deviation.T
        factors[:, 1, 0] = numbers[:, 4].clip(-LARGEST_CORNER, LARGEST_CORNER)
        return (found["middle"] + offset).astype(np.float64), factors


def _graph(state: State) -> tuple[Graph, dict[str, str]]:
    """`network.Refiner` from the levelled crop and the parabolas on, as ncnn's layers; its results.

    `seen`: (68, FEATURES), the features that each map looks at. `middle`: (68, 2), the maps' means.
    """
    graph = Graph()
    crop, parabola = (graph.layer("Input", [], name=name) for name in (CROP, PARABOLA))
    fine = _convolution(graph, state, "stem.0", crop, stride=2)
    fine = _convolution(graph, state, "stem.1", fine, stride=2)
    fine = _residual(graph, state, "stem.2", fine)
    middle = _convolution(graph, state, "middle.0", fine, stride=2)
    middle = _residual(graph, state, "middle.1", middle)
    deep = _convolution(graph, state, "deep.0", middle, stride=2)
    deep = _residual(graph, state, "deep.2", _residual(graph, state, "deep.1", deep))
    fine, middle, deep = (
        graph.convolution(features, state[f"{name}.weight"], state[f"{name}.bias"])
        for name, features in (("from_stem", fine), ("from_middle", middle), ("from_deep", deep))
    )
    seen = graph.added(fine, graph.doubled(graph.added(middle, graph.doubled(deep))))
    mixed = graph.depthwise(graph.relu(seen), *_folded(state, "mix.0", "mix.1"), relu=True)
    mixed = graph.convolution(mixed, *_folded(state, "mix.3", "mix.4"), relu=True)
    heat = graph.convolution(mixed, state["heat.weight"], state["heat.bias"])
    look = graph.by_row(graph.added(heat, parabola), _CELLS.shape[0], COUNT)
    look = graph.layer("Softmax", [look], {0: 1, 1: 1})
    features = graph.by_row(mixed, _CELLS.shape[0], FEATURES)
    at = graph.layer("MatMul", [look, features], {0: 1})
    means = graph.product_by(look, _CELLS, np.zeros(2, np.float32))
    return graph, graph.results(seen=at, middle=means)


def _convolution(graph: Graph, state: State, name: str, features: str, *, stride: int = 1) -> str:
    weight, bias = _folded(state, f"{name}.0", f"{name}.1")
    pad = weight.shape[-1] // 2
    return graph.convolution(
        features, weight, bias, stride=stride, before=pad, after=pad, relu=True
    )


def _residual(graph: Graph, state: State, name: str, features: str) -> str:
    """As `network.ResidualBlock`."""
    change = _convolution(graph, state, f"{name}.first", features)
    weight, bias = _folded(state, f"{name}.second", f"{name}.norm")
    change = graph.convolution(change, weight, bias, before=1, after=1)
    return graph.relu(graph.added(features, change))


def _folded(state: State, convolution: str, norm: str) -> tuple[Float32, Float32]:
    """Weight and bias of a convolution and the norm behind it."""
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + NORM_EPSILON)
    weight = state[f"{convolution}.weight"] * scale[:, None, None, None]
    return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale


def refine(images: Sequence[Image], landmarks: npt.NDArray[np.floating]) -> tuple[Float32, Float32]:
    """As `LandmarkRefiner.refine` with the weights of this glee. Raises WeightsError."""
    return load_refiner().refine(images, landmarks)


@lru_cache(maxsize=2)
def load_refiner(path: Path = WEIGHTS_PATH) -> LandmarkRefiner:
    """The refiner of a weights file, made once a process and kept. Raises WeightsError."""
    weights = read_weights(path)
    try:
        return LandmarkRefiner(weights.state, f"{weights.version}-{ENGINE}")
    except ImportError as error:
        raise WeightsError(f"the refiner: ncnn cannot be imported ({error}); install it") from error


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
