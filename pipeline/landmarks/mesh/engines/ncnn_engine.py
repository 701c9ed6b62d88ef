"""The `mesh` detector's networks run by ncnn, on one core of a CPU.

On one core ncnn takes the face mesh in half of torch's time, and neither of its two processes'
memory nor its seconds of importing. All is computed in float32, one picture at a time, so that no
result depends on what is computed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ....images.crops import Image
from ..architecture import ANCHOR_NUMBERS, CHANNELS, RADIUS, TOKENS
from ..blendshapes import BLENDSHAPES
from ..points import COUNT
from ..weights import (
    VISIBILITY_PATH,
    VISIBILITY_REMEDY,
    WEIGHTS_PATH,
    Parameters,
    read_weights,
)
from .ncnn_graph import Network, matrix, pixels_of
from .ncnn_networks import INPUT, NUMBERS, SCORES, detector_graph, mesh_graph, mixer_graph

Float32 = npt.NDArray[np.float32]


class NcnnEngine:
    """See the module. Weights are read when it is made.

    Raises ImportError where ncnn is not installed, WeightsError where a weights file is missing or
    does not fit.
    """

    name = "ncnn"

    def __init__(self) -> None:
        weights = read_weights(WEIGHTS_PATH)
        head = Parameters(
            read_weights(VISIBILITY_PATH, VISIBILITY_REMEDY), "visibility", VISIBILITY_REMEDY
        )
        self._faces = Network(*detector_graph(Parameters(weights, "detector")))
        self._mesh = Network(*mesh_graph(Parameters(weights, "mesh"), head))
        graph, results, self._before = mixer_graph(Parameters(weights, "blendshapes"))
        self._mixer = Network(graph, results)

    def faces(self, pixels: Image) -> tuple[Float32, Float32]:
        """Numbers (a, 16) and scores (a,) of a picture's anchors. pixels: (h, w, 3)."""
        found = self._faces.run({INPUT: pixels_of(pixels, 127.5, 2 / 255)})
        numbers = [_by_anchor(found[name], ANCHOR_NUMBERS) for name in NUMBERS]
        scores = [_by_anchor(found[name], 1)[:, 0] for name in SCORES]
        return np.concatenate(numbers), np.concatenate(scores)

    def mesh(self, crops: Sequence[Image]) -> tuple[Float32, Float32, Float32]:
        """Points (n, 478, 3), presence (n,) and odds (n, 68) of n crops, as `Engine`."""
        found = [self._mesh.run({INPUT: pixels_of(crop, 0.0, 1 / 255)}) for crop in crops]
        return (
            np.stack([one["points"].reshape(COUNT, 3) for one in found]),
            np.array([one["presence"].item() for one in found], np.float32),
            np.stack([one["odds"].ravel() for one in found]),
        )

    def blendshapes(self, points: npt.NDArray[np.float64]) -> Float32:
        """Coefficients (n, 52) of points (n, 146, 2) from their mean."""
        by_point, point_bias, by_coordinate, coordinate_bias, token = self._before
        radius = np.linalg.norm(points, axis=2).mean(1)[:, None, None]
        given = (points / radius * RADIUS).astype(np.float32)
        coefficients = np.empty((len(points), len(BLENDSHAPES)), np.float32)
        for row, one in enumerate(given):
            tokens = np.empty((1 + TOKENS, CHANNELS), np.float32)
            tokens[0] = token
            mixed = by_point @ one + point_bias[:, None]
            tokens[1:] = mixed @ by_coordinate.T + coordinate_bias
            coefficients[row] = self._mixer.run({INPUT: matrix(tokens)})["odds"].ravel()
        return np.asarray(1.0 / (1.0 + np.exp(-coefficients)), np.float32)


def _by_anchor(maps: Float32, numbers: int) -> Float32:
    """(anchors * numbers, side, side) -> (side * side * anchors, numbers)."""
    return maps.transpose(1, 2, 0).reshape(-1, numbers)
