"""The two blocks that MediaPipe's face networks are made of, as torch modules."""

from __future__ import annotations

from collections.abc import Sequence

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


class SeparableBlock(nn.Module):
    """Depthwise 3x3, pointwise convolution, the input added, activation.

    Stride 2 halves the side; the input is then max-pooled. Channels that the input lacks are 0.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, prelu: bool = True) -> None:
        super().__init__()
        self.inputs = inputs
        self.stride = stride
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.activation = nn.PReLU(outputs) if prelu else nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, side, side) -> (n, outputs, side / stride, side / stride)."""
        kept = features
        if self.stride == 2:
            kept = functional.max_pool2d(features, 2)
            features = pad_for_stride(features, 3)
        new: Tensor = self.pointwise(self.depthwise(features))
        new[:, : self.inputs] += kept
        activated: Tensor = self.activation(new)
        return activated


def chain(inputs: int, widths: Sequence[tuple[int, int]], *, prelu: bool = True) -> nn.Sequential:
    """Blocks one after the other. widths: (channels, stride) of each."""
    blocks = []
    for outputs, stride in widths:
        blocks.append(SeparableBlock(inputs, outputs, stride, prelu=prelu))
        inputs = outputs
    return nn.Sequential(*blocks)
