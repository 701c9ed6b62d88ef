"""Both networks and their blocks.

MediaPipe's face mesh of 2023 as a torch module: a crop to 478 points and a face's presence.

Seven stages, each of half the side of the one before; all points are read from the last, 2x2
pixels of 128 channels, in one step. Architecture: the converted model itself
(face_landmarks_detector.tflite of face_landmarker.task); its third output, which MediaPipe's Face
Landmarker does not use, is left out.

The blocks that MediaPipe's face networks are made of, as torch modules.

MediaPipe's short-range face detector network: boxes and six points at 896 anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .points import COUNT

# Side of the square crop that the network takes, pixels.
CROP_SIDE = 256
# Channels of each stage, from side 128 to side 2.
WIDTHS = (16, 32, 64, 128, 128, 128, 128)
# Blocks in a stage that keep its side; from the second stage on, one that halves it is before them.
_BLOCKS = 4
_LAST_SIDE = 2


class FaceMeshOutput(NamedTuple):
    """points: (n, 478, 3), crop pixels (z: depth in the same unit, smaller is nearer).

    presence: (n,), the logarithm of the odds that the crop shows a face.
    """

    points: Tensor
    presence: Tensor


class FaceMesh(nn.Module):
    """The whole network; parameters as in the weights file."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(WIDTHS[0], 3, prelu=True)
        blocks, inputs = [], WIDTHS[0]
        for number, width in enumerate(WIDTHS):
            if number:
                blocks.append(Bottleneck(inputs, width, stride=2))
            blocks += [Bottleneck(width, width) for _ in range(_BLOCKS)]
            inputs = width
        self.stages = nn.Sequential(*blocks)
        self.presence = nn.Conv2d(inputs, 1, _LAST_SIDE)
        self.points = nn.Conv2d(inputs, 3 * COUNT, _LAST_SIDE)

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


# Side of the square image that the network takes, pixels.
IMAGE_SIDE = 128
# Anchors at each cell of the two feature maps, and the maps' sides.
ANCHORS = ((16, 2), (8, 6))
# Numbers for an anchor: the box (centre x, y, width, height), six points (x, y); pixels, all but
# width and height from the anchor.
_NUMBERS = 16


class FaceDetectorOutput(NamedTuple):
    """numbers: (n, 896, 16), pixels from the anchors. scores: (n, 896), before the sigmoid."""

    numbers: Tensor
    scores: Tensor


class FaceDetector(nn.Module):
    """The whole network; parameters as in the weights file.

    It sees all places alike: a larger image of the same scale may be given, of another number of
    anchors then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(24, 5, prelu=False)
        self.fine = chain(
            24,
            [
                *((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2)),
                *((56, 1), (64, 1), (72, 1), (80, 1), (88, 1)),
            ],
        )
        self.coarse = chain(88, [(96, 2), (96, 1), (96, 1), (96, 1), (96, 1)])
        (_, many), (_, more) = ANCHORS
        self.fine_scores = nn.Conv2d(88, many, 1)
        self.coarse_scores = nn.Conv2d(96, more, 1)
        self.fine_numbers = nn.Conv2d(88, many * _NUMBERS, 1)
        self.coarse_numbers = nn.Conv2d(96, more * _NUMBERS, 1)

    def forward(self, images: Tensor) -> FaceDetectorOutput:
        """images: (n, 3, 128, 128) float32 RGB in [-1, 1]; or of other multiples of 16."""
        fine = self.fine(self.stem(images))
        coarse = self.coarse(fine)
        numbers = [_by_anchor(self.fine_numbers(fine), _NUMBERS)]
        numbers.append(_by_anchor(self.coarse_numbers(coarse), _NUMBERS))
        scores = [_by_anchor(self.fine_scores(fine), 1), _by_anchor(self.coarse_scores(coarse), 1)]
        return FaceDetectorOutput(torch.cat(numbers, 1), torch.cat(scores, 1)[..., 0])


def _by_anchor(maps: Tensor, numbers: int) -> Tensor:
    """(n, anchors * numbers, side, side) -> (n, side * side * anchors, numbers)."""
    return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, numbers)
