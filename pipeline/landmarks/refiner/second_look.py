"""A second look at a face: what the mesh's network sees in it and around each landmark.

The network was trained on many real faces, and only its last layer knows MediaPipe's points. What
its layers hold is taken as it is: all of the last one, and samples of four finer ones where the
landmarks lie. A few dozen annotated photographs then say what these numbers mean for the landmarks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...cluster.tasks import one_thread
from ...images.crops import Image
from ..mesh.networks import CROP_SIDE, FaceMesh
from ..mesh.points import COUNT, LandmarkDefinition
from ..mesh.weights import WEIGHTS_PATH, load_into, read_weights

Float32 = npt.NDArray[np.float32]

# Side of a layer -> how far from a landmark it is sampled too, left, right, above and below, in
# cells; 0 where it is not.
LAYERS: dict[int, float] = {64: 2.0, 32: 2.0, 16: 0.0, 8: 0.0}
# Numbers of the last layer, and of all samples at a landmark.
WHOLE = 2 * 2 * 128
NEAR = 5 * 32 + 5 * 64 + 128 + 128


class Seen(NamedTuple):
    """What is seen in n crops.

    landmarks: (n, 68, 2) float32, crop pixels, by the mesh. whole: (n, WHOLE) float32.
    near: (n, 68, NEAR) float32.
    """

    landmarks: Float32
    whole: Float32
    near: Float32


def look(crops: Image, definition: LandmarkDefinition) -> Seen:
    """Look at faces.

    crops: (n, 256, 256, 3) uint8 RGB, as the mesh takes them. definition: of the 68 landmarks on
    the mesh. Raises WeightsError where the mesh's weights cannot be read.
    """
    network = _network()
    with torch.inference_mode(), one_thread():
        features = network.stem(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
        layers: dict[int, Tensor] = {}
        for block in network.stages:
            features = block(features)
            layers[features.shape[-1]] = features
        points = network.points(features).reshape(-1, COUNT, 3).numpy()
        landmarks = definition.landmarks(points)
        near = [
            _sampled(layers[side], landmarks, shift)
            for side, reach in LAYERS.items()
            for shift in _shifts(reach)
        ]
        whole = features.flatten(1)
    return Seen(landmarks, whole.numpy(), torch.cat(near, 2).numpy())


def _shifts(reach: float) -> list[tuple[float, float]]:
    sides = [(reach, 0.0), (-reach, 0.0), (0.0, reach), (0.0, -reach)]
    return [(0.0, 0.0), *(sides if reach else [])]


def _sampled(layer: Tensor, landmarks: Float32, shift: tuple[float, float]) -> Tensor:
    """A layer (n, channels, side, side) at landmarks (n, 68, 2), crop pixels: (n, 68, channels)."""
    cell = CROP_SIDE / layer.shape[-1]
    places = landmarks + cell * np.asarray(shift, np.float32)
    # Of grid_sample: -1 and 1 are the crop's borders, and pixels' centres have whole coordinates.
    grid = torch.from_numpy((places + 0.5) * np.float32(2 / CROP_SIDE) - 1.0)
    found = functional.grid_sample(layer, grid[:, :, None], align_corners=False)
    return found[..., 0].transpose(1, 2)


@lru_cache(maxsize=1)
def _network() -> FaceMesh:
    network = FaceMesh()
    load_into(network, read_weights(WEIGHTS_PATH), "mesh")
    network.eval().requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
