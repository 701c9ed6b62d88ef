"""A second look at a face: what the mesh's network sees in it and around each landmark.

The network was trained on many real faces, and only its last layer knows MediaPipe's points. What
its layers hold is taken as it is: all of the last one, and samples of five finer ones where the
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
from ..mesh.architecture import CROP_SIDE
from ..mesh.networks import FaceMesh, load_into
from ..mesh.points import COUNT, LandmarkDefinition
from ..mesh.weights import WEIGHTS_PATH, read_weights

Float32 = npt.NDArray[np.float32]

_AT = ((0.0, 0.0),)
_CROSS = ((2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0))
_FAR_CROSS = ((4.0, 0.0), (-4.0, 0.0), (0.0, 4.0), (0.0, -4.0))
_CORNERS = ((2.0, 2.0), (-2.0, 2.0), (2.0, -2.0), (-2.0, -2.0))
# Side of a layer -> where it is sampled, in cells from the landmark. By cross-fitting on halves of
# 218 photographs: what lies around the landmark in the two finest layers is worth most.
LAYERS: dict[int, tuple[tuple[float, float], ...]] = {
    128: _AT + _CROSS + _CORNERS,
    64: _AT + _CROSS + _FAR_CROSS + _CORNERS,
    32: _AT,
    16: _AT,
    8: _AT,
}
# Numbers of the last layer, and of all samples at a landmark.
WHOLE = 2 * 2 * 128
NEAR = 9 * 16 + 13 * 32 + 64 + 128 + 128


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
            for side, shifts in LAYERS.items()
            for shift in shifts
        ]
        whole = features.flatten(1)
    return Seen(landmarks, whole.numpy(), torch.cat(near, 2).numpy())


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
