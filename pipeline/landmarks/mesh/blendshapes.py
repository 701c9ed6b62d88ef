"""MediaPipe's blendshape network (Blendshape V2): 52 coefficients from 146 points of the mesh.

An MLP-Mixer (Tolstikhin et al. 2021): the points are mixed to 96 tokens, a learnt one is put before
them, four blocks mix tokens and channels in turn, and the coefficients are read from the learnt
token. Architecture: the converted model itself (face_blendshapes.tflite of face_landmarker.task);
numbers of the points and names of the outputs: MediaPipe's face_blendshapes_graph.cc.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...cluster.tasks import one_thread
from .weights import WEIGHTS_PATH, load_into, read_weights

# The outputs in their order: a rest that means nothing by itself, then ARKit's names.
BLENDSHAPES = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp"),
    *("browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight"),
    *("eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight"),
    *("eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)
# The points of the mesh that the network takes, in its order.
INPUT_POINTS = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63),
    *(65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132),
    *(133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162),
    *(163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269),
    *(270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314),
    *(317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378),
    *(379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415),
    *(454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477),
)

# Tokens that the points are mixed to, channels of each, and the width of the two kinds of layers
# inside a block.
_TOKENS, _CHANNELS = 96, 64
_WIDE_TOKENS, _WIDE_CHANNELS = 384, 256
_BLOCKS = 4
# Added to the variance in a normalisation: 1e-6 in float16, as the model has it.
_EPSILON = 17 * 2.0**-24
# The points' mean distance from their mean, in the network's unit.
_RADIUS = 0.5


class TwoLayers(nn.Module):
    """To a wider layer and back: (..., inputs) -> (..., inputs)."""

    def __init__(self, inputs: int, wide: int) -> None:
        super().__init__()
        self.widen = nn.Linear(inputs, wide)
        self.narrow = nn.Linear(wide, inputs)

    def forward(self, values: Tensor) -> Tensor:
        """See the class."""
        narrowed: Tensor = self.narrow(functional.relu(self.widen(values)))
        return narrowed


class MixerBlock(nn.Module):
    """Mixes the tokens of each channel, then the channels of each token; both are added."""

    def __init__(self) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(_CHANNELS, _EPSILON, bias=False)
        self.tokens = TwoLayers(1 + _TOKENS, _WIDE_TOKENS)
        self.channel_norm = nn.LayerNorm(_CHANNELS, _EPSILON, bias=False)
        self.channels = TwoLayers(_CHANNELS, _WIDE_CHANNELS)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 97, 64) -> (n, 97, 64)."""
        tokens = tokens + self.tokens(self.token_norm(tokens).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = tokens + self.channels(self.channel_norm(tokens))
        return mixed


class BlendshapeNet(nn.Module):
    """The whole network; parameters as in the weights file."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Linear(len(INPUT_POINTS), _TOKENS)
        self.coordinates = nn.Linear(2, _CHANNELS)
        self.token = nn.Parameter(torch.empty(_CHANNELS))
        self.blocks = nn.Sequential(*(MixerBlock() for _ in range(_BLOCKS)))
        self.coefficients = nn.Linear(_CHANNELS, len(BLENDSHAPES))

    def forward(self, points: Tensor) -> Tensor:
        """Coefficients (n, 52) in [0, 1]. points: (n, 146, 2), x and y in any one unit."""
        centred = points - points.mean(1, keepdim=True)
        radius = centred.norm(dim=2, keepdim=True).mean(1, keepdim=True)
        mixed = self.points((centred / radius * _RADIUS).transpose(1, 2)).transpose(1, 2)
        first = self.token.expand(len(points), 1, -1)
        tokens = self.blocks(torch.cat([first, self.coordinates(mixed)], 1))
        return torch.sigmoid(self.coefficients(tokens[:, 0]))


@lru_cache(maxsize=1)
def _network() -> BlendshapeNet:
    network = BlendshapeNet()
    load_into(network, read_weights(WEIGHTS_PATH), "blendshapes")
    return network.eval().requires_grad_(False)


def blendshapes(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Coefficients (..., 52) float32 in [0, 1], in the order of `BLENDSHAPES`.

    points: (..., 478, 2) or (..., 478, 3), all points of the mesh in source pixels; depth is not
    looked at. The network takes out where the face is and how large, so that the image's size, by
    which MediaPipe divides and multiplies the points, makes no difference. NaN gives NaN.
    """
    chosen = points[..., list(INPUT_POINTS), :2].reshape(-1, len(INPUT_POINTS), 2)
    # In float64: the mean of large coordinates costs float32 the fifth decimal of the output.
    chosen = chosen - chosen.mean(1, keepdims=True, dtype=np.float64)
    with torch.inference_mode(), one_thread():
        found: Tensor = _network()(torch.from_numpy(np.ascontiguousarray(chosen, np.float32)))
    return np.asarray(found.numpy().reshape(*points.shape[:-2], len(BLENDSHAPES)), np.float32)
