"""MediaPipe's three face networks as torch modules, and the blocks that they are made of.

They are the reference, what runs on a GPU, and what runs where ncnn is not installed. The mesh's
third output, which MediaPipe's Face Landmarker does not use, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from .architecture import (
    ANCHOR_NUMBERS,
    ANCHORS,
    CHANNELS,
    COARSE,
    DETECTOR_STEM,
    EPSILON,
    FINE,
    LAST_SIDE,
    MIXER_BLOCKS,
    RADIUS,
    STAGE_BLOCKS,
    TOKENS,
    WIDE_CHANNELS,
    WIDE_TOKENS,
    WIDTHS,
)
from .blendshapes import BLENDSHAPES, INPUT_POINTS
from .points import COUNT
from .weights import REMEDY, Parameters


class FaceMeshOutput(NamedTuple):
    """points: (n, 478, 3), crop pixels (z: depth in the same unit, smaller is nearer).

    presence: (n,), the logarithm of the odds that the crop shows a face.
    """

    points: Tensor
    presence: Tensor


class FaceMesh(nn.Module):
    """The face mesh of 2023: a crop to 478 points and a face's presence; parameters as in the file.

    Seven stages, each of half the side of the one before; all points are read from the last, 2x2
    pixels of 128 channels, in one step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(WIDTHS[0], 3, prelu=True)
        blocks, inputs = [], WIDTHS[0]
        for number, width in enumerate(WIDTHS):
            if number:
                blocks.append(Bottleneck(inputs, width, stride=2))
            blocks += [Bottleneck(width, width) for _ in range(STAGE_BLOCKS)]
            inputs = width
        self.stages = nn.Sequential(*blocks)
        self.presence = nn.Conv2d(inputs, 1, LAST_SIDE)
        self.points = nn.Conv2d(inputs, 3 * COUNT, LAST_SIDE)

    def forward(self, crops: Tensor) -> FaceMeshOutput:
        """crops: (n, 3, 256, 256) float32 RGB in [0, 1]."""
        return self.read(self.stages(self.stem(crops)))

    def read(self, features: Tensor) -> FaceMeshOutput:
        """Points and presence. features: (n, 128, 2, 2), of the last stage."""
        points = torch.reshape(self.points(features), (-1, COUNT, 3))
        return FaceMeshOutput(points, self.presence(features).flatten())


# Matrix products with fewer columns than this take two pixels at once: see `Pointwise`.
_NARROW = 16


def pad_for_stride(features: Tensor, kernel: int) -> Tensor:
    """Zeros as TensorFlow's SAME lays them for stride 2 on an even side: the odd one at the end.

    features: (n, channels, side, side).
    """
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    return functional.pad(features, (before, after, before, after))


class Stem(nn.Module):
    """A convolution that halves the side, and its activation (PReLU or ReLU)."""

    def __init__(self, outputs: int, kernel: int, *, prelu: bool) -> None:
        super().__init__()
        self.kernel = kernel
        self.convolution = nn.Conv2d(3, outputs, kernel, stride=2)
        self.activation = nn.PReLU(outputs) if prelu else nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) -> (n, outputs, side / 2, side / 2)."""
        features: Tensor = self.activation(self.convolution(pad_for_stride(images, self.kernel)))
        return features


class Pointwise(nn.Module):
    """A 1x1 convolution as a matrix product: faster than a convolution on one core.

    weight: (inputs, outputs), bias: (outputs,).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, rows: Tensor, kept: Tensor | None = None) -> Tensor:
        """rows: (pixels, inputs), an even number -> (pixels, outputs), with `kept` added.

        A `kept` of fewer channels is added to the first ones.
        """
        outputs = len(self.bias)
        if kept is not None:
            if kept.shape[1] < outputs:
                kept = functional.pad(kept, (0, outputs - kept.shape[1]))
            return (kept + self.bias).addmm_(rows, self.weight)
        if outputs < _NARROW:
            # Two pixels in a row and the weights twice on the diagonal: a product with so few
            # columns takes PyTorch's BLAS three times as long.
            weight: Tensor = torch.block_diag(  # type: ignore[no-untyped-call]
                self.weight, self.weight
            )
            pairs = torch.addmm(self.bias.repeat(2), rows.reshape(-1, len(weight)), weight)
            return pairs.view(-1, outputs)
        return torch.addmm(self.bias, rows, self.weight)


def halved(features: Tensor) -> Tensor:
    """The largest of each 2x2 pixels; in two steps, since PyTorch's max_pool2d finds indices too.

    (n, channels, side, side) -> (n, channels, side / 2, side / 2).
    """
    rows = torch.maximum(features[:, :, ::2], features[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def to_rows(features: Tensor) -> Tensor:
    """(n, channels, side, side) -> (n * side * side, channels); no copy where channels are last."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of `to_rows`, with channels last in memory. like: of the height and width."""
    return rows.view(-1, like.shape[-2], like.shape[-1], rows.shape[1]).permute(0, 3, 1, 2)


class SeparableBlock(nn.Module):
    """The face detector's block: depthwise 3x3, pointwise convolution, the input added, ReLU.

    Stride 2 halves the side; the input is then max-pooled. Channels that the input lacks are 0.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding, groups=inputs)
        self.pointwise = Pointwise(inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, side, side) -> (n, outputs, side / stride, side / stride)."""
        kept = features
        if self.stride == 2:
            kept = halved(features)
            features = pad_for_stride(features, 3)
        new: Tensor = self.pointwise(to_rows(self.depthwise(features)), to_rows(kept))
        return from_rows(functional.relu(new), kept)


def chain(inputs: int, widths: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Separable blocks one after the other. widths: (channels, stride) of each."""
    blocks = []
    for outputs, stride in widths:
        blocks.append(SeparableBlock(inputs, outputs, stride))
        inputs = outputs
    return nn.Sequential(*blocks)


class Bottleneck(nn.Module):
    """The face mesh's block: to half as many channels, depthwise 3x3 there, back, the input added.

    Stride 2 halves the side by a 2x2 convolution; the input is then max-pooled. Channels that the
    input lacks are 0. PReLU follows the first and the last step.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        half = outputs // 2
        self.reduce = Pointwise(inputs, half) if stride == 1 else nn.Conv2d(inputs, half, 2, 2)
        self.half_activation = nn.PReLU(half)
        self.depthwise = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.expand = Pointwise(half, outputs)
        self.activation = nn.PReLU(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, side, side) -> (n, outputs, side / stride, side / stride)."""
        if self.stride == 1:
            kept = features
            narrow = from_rows(self.reduce(to_rows(features)), features)
        else:
            kept = halved(features)
            narrow = self.reduce(features)
        narrow = self.depthwise(self.half_activation(narrow))
        new: Tensor = self.expand(to_rows(narrow), to_rows(kept))
        return from_rows(self.activation(new), kept)


class FaceDetectorOutput(NamedTuple):
    """numbers: (n, 896, 16), pixels from the anchors. scores: (n, 896), before the sigmoid."""

    numbers: Tensor
    scores: Tensor


class FaceDetector(nn.Module):
    """The short-range face detector: boxes and points at 896 anchors; parameters as in the file.

    It sees all places alike: a larger image of the same scale may be given, of another number of
    anchors then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(DETECTOR_STEM, 5, prelu=False)
        self.fine = chain(DETECTOR_STEM, FINE)
        self.coarse = chain(FINE[-1][0], COARSE)
        (_, many), (_, more) = ANCHORS
        fine, coarse = FINE[-1][0], COARSE[-1][0]
        self.fine_scores = nn.Conv2d(fine, many, 1)
        self.coarse_scores = nn.Conv2d(coarse, more, 1)
        self.fine_numbers = nn.Conv2d(fine, many * ANCHOR_NUMBERS, 1)
        self.coarse_numbers = nn.Conv2d(coarse, more * ANCHOR_NUMBERS, 1)

    def forward(self, images: Tensor) -> FaceDetectorOutput:
        """images: (n, 3, 128, 128) float32 RGB in [-1, 1]; or of other multiples of 16."""
        fine = self.fine(self.stem(images))
        coarse = self.coarse(fine)
        numbers = [_by_anchor(self.fine_numbers(fine), ANCHOR_NUMBERS)]
        numbers.append(_by_anchor(self.coarse_numbers(coarse), ANCHOR_NUMBERS))
        scores = [_by_anchor(self.fine_scores(fine), 1), _by_anchor(self.coarse_scores(coarse), 1)]
        return FaceDetectorOutput(torch.cat(numbers, 1), torch.cat(scores, 1)[..., 0])


def _by_anchor(maps: Tensor, numbers: int) -> Tensor:
    """(n, anchors * numbers, side, side) -> (n, side * side * anchors, numbers)."""
    return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, numbers)


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
        self.token_norm = nn.LayerNorm(CHANNELS, EPSILON, bias=False)
        self.tokens = TwoLayers(1 + TOKENS, WIDE_TOKENS)
        self.channel_norm = nn.LayerNorm(CHANNELS, EPSILON, bias=False)
        self.channels = TwoLayers(CHANNELS, WIDE_CHANNELS)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 97, 64) -> (n, 97, 64)."""
        tokens = tokens + self.tokens(self.token_norm(tokens).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = tokens + self.channels(self.channel_norm(tokens))
        return mixed


class BlendshapeNet(nn.Module):
    """MediaPipe's blendshape network (Blendshape V2), an MLP-Mixer (Tolstikhin et al. 2021).

    The points are mixed to 96 tokens, a learnt one is put before them, four blocks mix tokens and
    channels in turn, and the coefficients are read from the learnt token. Parameters as in the
    weights file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Linear(len(INPUT_POINTS), TOKENS)
        self.coordinates = nn.Linear(2, CHANNELS)
        self.token = nn.Parameter(torch.empty(CHANNELS))
        self.blocks = nn.Sequential(*(MixerBlock() for _ in range(MIXER_BLOCKS)))
        self.coefficients = nn.Linear(CHANNELS, len(BLENDSHAPES))

    def forward(self, points: Tensor) -> Tensor:
        """Coefficients (n, 52) in [0, 1]. points: (n, 146, 2), x and y in any one unit."""
        centred = points - points.mean(1, keepdim=True)
        radius = centred.norm(dim=2, keepdim=True).mean(1, keepdim=True)
        mixed = self.points((centred / radius * RADIUS).transpose(1, 2)).transpose(1, 2)
        first = self.token.expand(len(points), 1, -1)
        tokens = self.blocks(torch.cat([first, self.coordinates(mixed)], 1))
        return torch.sigmoid(self.coefficients(tokens[:, 0]))


def load_into(
    network: nn.Module,
    parameters: Mapping[str, npt.NDArray[np.float16]],
    prefix: str,
    remedy: str = REMEDY,
) -> None:
    """Set a network's parameters from those whose names start with `prefix` and a dot.

    remedy: what to do where they do not fit.
    Raises WeightsError where one is missing, superfluous or of another shape.
    """
    given = Parameters(parameters, prefix, remedy)
    own: dict[str, Tensor] = network.state_dict()
    taken = {name: torch.from_numpy(given.take(name, *own[name].shape)) for name in sorted(own)}
    given.finish()
    network.load_state_dict(taken)
