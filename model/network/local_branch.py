"""The local branch: 16 parts of the image by area, each seen by an extractor of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .global_branch import resize

# The paper's names: side or corner (of the image), and how much is kept from there.
PARTS: tuple[str, ...] = (
    *("L34", "R34", "T34", "B34"),
    *("L12", "R12", "T12", "B12"),
    *("TL34", "TR34", "TL12", "TR12"),
    *("BL34", "BR34", "BL12", "BR12"),
)
_KEPT = {"34": 3 / 4, "12": 1 / 2}


def crop_box(part: str, size: int) -> tuple[int, int, int, int]:
    """Give the box of a part in a square image.

    Parameters
    ----------
    part : str
        One of PARTS.
    size : int
        Side of the image, pixels.

    Returns
    -------
    (int, int, int, int)
        left, top, right, bottom in pixels, ends excluded.
    """
    sides, kept = part[:-2], round(_KEPT[part[-2:]] * size)
    left = size - kept if "R" in sides else 0
    top = size - kept if "B" in sides else 0
    right = kept if "L" in sides else size
    bottom = kept if "T" in sides else size
    return left, top, right, bottom


def mirrored_part(part: str) -> str:
    """Name the part that shows the same region as `part` after the image was mirrored."""
    return part.translate(str.maketrans("LR", "RL"))


class SelfAttention(nn.Module):
    """Every position of a feature map attends to all; added to its input with a learnt gain.

    The paper says nothing of a gain or of the start. A gain that starts at 0 (as in Zhang et al.
    2019) gives queries, keys and values no gradient at first and, since all positions are averaged
    afterwards, hardly one of its own: after a training it stood below 0.005 and no decision
    depended on it (docs/experiments.md). So the gain starts at 1, and the three maps at the spread
    that keeps a signal's size behind a ReLU (He et al. 2015): with torch's narrower default all
    positions get nearly the same weight, and stay so.

    Parameters
    ----------
    channels : int
        Of the feature map.
    width : int
        Width of queries and keys.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        for layer in (self.query, self.key, self.value):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within feature maps x, (b, channels, h, w) float -> the same shape."""
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        score = query @ key.transpose(1, 2) * query.shape[-1] ** -0.5
        attended: Tensor = (score.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        return x + self.gain * attended


class LocalFeatureExtractor(nn.Module):
    """Four 3x3 convolutions, self-attention, average pooling.

    Parameters
    ----------
    channels, strides : sequence of int
        Of the four convolutions.
    attention : int
        Width of queries and keys, 0 for no self-attention.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], attention: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, stride in zip(channels, strides, strict=True):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        self.convolutions = nn.Sequential(*layers)
        self.attention = SelfAttention(inputs, attention) if attention else nn.Identity()

    def forward(self, part: Tensor) -> Tensor:
        """Turn one part of each image, (b, 3, size, size) float32, into (b, channels[-1])."""
        features: Tensor = self.attention(self.convolutions(part)).mean((2, 3))
        return features


class LocalBranch(nn.Module):
    """16 parts -> 16 separate extractors -> concatenated -> MLP -> L_exp.

    Parameters
    ----------
    size : int
        Side to which each part is resized, pixels.
    channels, strides : sequence of int
        Of each extractor's convolutions.
    attention : int
        Width of queries and keys in an extractor, 0 for no self-attention.
    hidden : int
        Width inside the MLP.
    width : int
        Width of L_exp.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: Sequence[int],
        strides: Sequence[int],
        attention: int,
        hidden: int,
        width: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.extractors = nn.ModuleDict(
            {part: LocalFeatureExtractor(channels, strides, attention) for part in PARTS}
        )
        self.mlp = nn.Sequential(
            nn.Linear(len(PARTS) * channels[-1], hidden), nn.ReLU(), nn.Linear(hidden, width)
        )

    def parts(self, image: Tensor) -> dict[str, Tensor]:
        """Cut square images (b, 3, s, s) into the 16 PARTS, by name, each (b, 3, size, size)."""
        cut = {}
        for part in PARTS:
            left, top, right, bottom = crop_box(part, image.shape[-1])
            cut[part] = resize(image[..., top:bottom, left:right], self.size)
        return cut

    def forward(self, image: Tensor) -> Tensor:
        """Compute L_exp.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, width) float32
            L_exp.
        """
        features = [self.extractors[name](part) for name, part in self.parts(image).items()]
        expression: Tensor = self.mlp(torch.cat(features, 1))
        return expression
