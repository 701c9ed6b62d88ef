"""The two blocks that MediaPipe's face networks are made of, as torch modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


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
    """A 1x1 convolution in groups, as a matrix product: several times faster on one core.

    weight: (groups, inputs, outputs), bias: (groups * outputs,).
    """

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(groups * outputs))

    def forward(self, rows: Tensor, kept: Tensor | None = None) -> Tensor:
        """rows: (pixels, groups * inputs) -> (pixels, groups * outputs), with `kept` added.

        A `kept` of fewer channels is added to the first ones of each group.
        """
        groups, inputs, _ = self.weight.shape
        if kept is not None and kept.shape[1] == len(self.bias):
            new = kept + self.bias
        else:
            new = self.bias.repeat(len(rows), 1)
            if kept is not None:
                same = kept.view(len(rows), groups, -1)
                new.view(len(rows), groups, -1)[..., : same.shape[2]] += same
        if groups == 1:
            return new.addmm_(rows, self.weight[0])
        by_group = rows.view(-1, groups, inputs).transpose(0, 1)
        new.view(len(rows), groups, -1).transpose(0, 1).baddbmm_(by_group, self.weight)
        return new


def halved(features: Tensor) -> Tensor:
    """The largest of each 2x2 pixels; in two steps, since PyTorch's max_pool2d finds indices too.

    (n, channels, side, side) -> (n, channels, side / 2, side / 2).
    """
    rows = torch.maximum(features[:, :, ::2], features[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def to_rows(features: Tensor) -> Tensor:
    """(n, channels, side, side) -> (n * side * side, channels); no copy where channels are last."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def from_rows(rows: Tensor, side: int) -> Tensor:
    """The inverse of `to_rows`, with channels last in memory."""
    return rows.view(-1, side, side, rows.shape[1]).permute(0, 3, 1, 2)


class SeparableBlock(nn.Module):
    """Depthwise 3x3, pointwise convolution, the input added, activation.

    Stride 2 halves the side; the input is then max-pooled. Channels that the input lacks are 0.
    groups: so many blocks side by side, each with channels of its own; inputs and outputs count
    the channels of one.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, *, groups: int = 1, prelu: bool = True
    ) -> None:
        super().__init__()
        self.stride = stride
        every = groups * inputs
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(every, every, 3, stride, padding, groups=every)
        self.pointwise = Pointwise(inputs, outputs, groups)
        self.activation = nn.PReLU(groups * outputs) if prelu else nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(n, groups * inputs, side, side) -> (n, groups * outputs, side / stride, ...)."""
        kept = features
        if self.stride == 2:
            kept = halved(features)
            features = pad_for_stride(features, 3)
        new: Tensor = self.pointwise(to_rows(self.depthwise(features)), to_rows(kept))
        return from_rows(self.activation(new), kept.shape[-1])


def chain(
    inputs: int, widths: Sequence[tuple[int, int]], *, groups: int = 1, prelu: bool = True
) -> nn.Sequential:
    """Blocks one after the other. widths: (channels, stride) of each."""
    blocks = []
    for outputs, stride in widths:
        blocks.append(SeparableBlock(inputs, outputs, stride, groups=groups, prelu=prelu))
        inputs = outputs
    return nn.Sequential(*blocks)
