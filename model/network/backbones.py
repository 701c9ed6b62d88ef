"""Backbones: FaceNet's InceptionResnetV1, and a residual network of basic blocks.

InceptionResnetV1 is Szegedy et al. (2017) with FaceNet's channel counts. Its attribute names are
those of facenet-pytorch's checkpoints (MIT), which load by them.

ResNet is He et al. (2016): the compact preset's backbone and Table 5's "w. ResNet". With widths
(64, 128, 256, 512) and two blocks a stage it is ResNet-18, but for the normalisation of its vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EMBEDDING_WIDTH = 512


class BasicConv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int or (int, int)
        Height and width of the kernel, pixels.
    stride : int
        Step of the kernel, pixels.
    padding : int or (int, int)
        Zeros around the input, pixels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x: (b, inputs, h, w) float -> (b, outputs, h', w')."""
        return torch.relu(self.bn(self.conv(x)))


class _Residual(nn.Module):
    """Branches side by side, joined by a 1x1 convolution and added with a small scale."""

    def __init__(self, branches: list[nn.Module], joined: int, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self._count = len(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> the same shape."""
        return torch.relu(self._sum(x))

    def _sum(self, x: Tensor) -> Tensor:
        parts = [self.get_submodule(f"branch{index}")(x) for index in range(self._count)]
        joined: Tensor = self.conv2d(torch.cat(parts, 1))
        return x + self.scale * joined


class Block35(_Residual):
    """Inception-ResNet-A on 256 channels."""

    def __init__(self) -> None:
        one = BasicConv(256, 32, 1)
        two = nn.Sequential(BasicConv(256, 32, 1), BasicConv(32, 32, 3, padding=1))
        three = nn.Sequential(
            BasicConv(256, 32, 1), BasicConv(32, 32, 3, padding=1), BasicConv(32, 32, 3, padding=1)
        )
        super().__init__([one, two, three], 96, 256, 0.17)


class Block17(_Residual):
    """Inception-ResNet-B on 896 channels."""

    def __init__(self) -> None:
        one = BasicConv(896, 128, 1)
        two = nn.Sequential(
            BasicConv(896, 128, 1),
            BasicConv(128, 128, (1, 7), padding=(0, 3)),
            BasicConv(128, 128, (7, 1), padding=(3, 0)),
        )
        super().__init__([one, two], 256, 896, 0.10)


class Block8(_Residual):
    """Inception-ResNet-C on 1792 channels; the last one of the network is linear.

    Parameters
    ----------
    scale : float
        Of what is added to the input.
    linear : bool
        Leave the ReLU at the end out.
    """

    def __init__(self, scale: float = 0.20, linear: bool = False) -> None:
        one = BasicConv(1792, 192, 1)
        two = nn.Sequential(
            BasicConv(1792, 192, 1),
            BasicConv(192, 192, (1, 3), padding=(0, 1)),
            BasicConv(192, 192, (3, 1), padding=(1, 0)),
        )
        super().__init__([one, two], 384, 1792, scale)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Add the branches to x: (b, 1792, h, w) float -> the same shape."""
        return self._sum(x) if self.linear else super().forward(x)


class Mixed6a(nn.Module):
    """Reduction-A, 256 -> 896 channels at half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = BasicConv(256, 384, 3, stride=2)
        self.branch1 = nn.Sequential(
            BasicConv(256, 192, 1), BasicConv(192, 192, 3, padding=1), BasicConv(192, 256, 3, 2)
        )
        self.branch2 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce x: (b, 256, h, w) float -> (b, 896, (h - 1) // 2, (w - 1) // 2)."""
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)


class Mixed7a(nn.Module):
    """Reduction-B, 896 -> 1792 channels at half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(BasicConv(896, 256, 1), BasicConv(256, 384, 3, 2))
        self.branch1 = nn.Sequential(BasicConv(896, 256, 1), BasicConv(256, 256, 3, 2))
        self.branch2 = nn.Sequential(
            BasicConv(896, 256, 1), BasicConv(256, 256, 3, padding=1), BasicConv(256, 256, 3, 2)
        )
        self.branch3 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce x: (b, 896, h, w) float -> (b, 1792, (h - 1) // 2, (w - 1) // 2)."""
        parts = [self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)]
        return torch.cat(parts, 1)


class InceptionResnetV1(nn.Module):
    """Face image -> 512-d embedding, as after `last_bn` (FaceNet then normalises it to length 1).

    Parameters
    ----------
    class_count : int
        Width of a checkpoint's recognition head `logits`; 0 leaves it out, as GLEE-Net does.
    dropout : float
        Share of values dropped before `last_linear` while training.
    """

    def __init__(self, class_count: int = 0, dropout: float = 0.6) -> None:
        super().__init__()
        self.conv2d_1a = BasicConv(3, 32, 3, stride=2)
        self.conv2d_2a = BasicConv(32, 32, 3)
        self.conv2d_2b = BasicConv(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, stride=2)
        self.conv2d_3b = BasicConv(64, 80, 1)
        self.conv2d_4a = BasicConv(80, 192, 3)
        self.conv2d_4b = BasicConv(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(*(Block35() for _ in range(5)))
        self.mixed_6a = Mixed6a()
        self.repeat_2 = nn.Sequential(*(Block17() for _ in range(10)))
        self.mixed_7a = Mixed7a()
        self.repeat_3 = nn.Sequential(*(Block8() for _ in range(5)))
        self.block8 = Block8(scale=1.0, linear=True)
        self.avgpool_1a = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(1792, EMBEDDING_WIDTH, bias=False)
        self.last_bn = nn.BatchNorm1d(EMBEDDING_WIDTH, eps=0.001, momentum=0.1)
        if class_count:
            self.logits = nn.Linear(EMBEDDING_WIDTH, class_count)

    @property
    def width(self) -> int:
        """Length of the embedding."""
        return EMBEDDING_WIDTH

    def forward(self, image: Tensor) -> Tensor:
        """Embed faces.

        Parameters
        ----------
        image : (b, 3, 160, 160) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, 512) float32
            Embeddings.
        """
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(image)))
        x = self.conv2d_3b(self.maxpool_3a(x))
        x = self.conv2d_4b(self.conv2d_4a(x))
        x = self.mixed_6a(self.repeat_1(x))
        x = self.mixed_7a(self.repeat_2(x))
        x = self.block8(self.repeat_3(x))
        x = self.dropout(self.avgpool_1a(x)).flatten(1)
        embedding: Tensor = self.last_bn(self.last_linear(x))
        return embedding


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside a shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Of the first convolution, pixels.
    """

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
        """Convolve x: (b, inputs, h, w) float -> (b, outputs, h / stride, w / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Image -> feature vector of length widths[-1].

    Parameters
    ----------
    widths : sequence of int
        Channels of each stage; every stage after the first halves the resolution.
    blocks : int
        Basic blocks in each stage.
    stem : int
        Kernel of the first convolution, pixels; its stride is 2.
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
        """Turn images into feature vectors.

        Parameters
        ----------
        image : (b, 3, h, w) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, width) float32
            Features.
        """
        x = self.maxpool(torch.relu(self.bn1(self.conv1(image))))
        features: Tensor = self.last_bn(self.stages(x).mean((2, 3)))
        return features
