"""A residual network of basic blocks: the compact preset's backbone and Table 5's "w. ResNet".

Source: He et al. 2016. With widths (64, 128, 256, 512) and two blocks a stage it is ResNet-18, but
for the normalisation of its vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h / stride, w / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Image -> feature vector of length widths[-1].

    widths: channels of each stage; every stage after the first halves the resolution.
    blocks: basic blocks in each stage. stem: kernel of the first convolution (stride 2).
    """

    def __init__(
        self, widths: Sequence[int] = (64, 128, 256, 512), blocks: int = 2, stem: int = 7
    ) -> None:
        super().__init__()
        self.width = widths[-1]
        self.conv1 = nn.Conv2d(3, widths[0], stem, 2, stem // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Module] = []
        inputs = widths[0]
        for index, outputs in enumerate(widths):
            for block in range(blocks):
                stages.append(BasicBlock(inputs, outputs, 2 if index and not block else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        # As FaceNet ends. Averaged activations all point one way, and triplets of such collapse.
        self.last_bn = nn.BatchNorm1d(self.width)

    def forward(self, image: Tensor) -> Tensor:
        """image: (b, 3, h, w) float32, RGB, (value - 127.5) / 128 -> (b, width)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(image))))
        features: Tensor = self.last_bn(self.stages(x).mean((2, 3)))
        return features
