"""MediaPipe's short-range face detector network: boxes and six points at 896 anchors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import Stem, chain

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
    """The whole network; parameters as in the weights file."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(24, 5, prelu=False)
        self.fine = chain(
            24,
            [
                *((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2)),
                *((56, 1), (64, 1), (72, 1), (80, 1), (88, 1)),
            ],
            prelu=False,
        )
        self.coarse = chain(88, [(96, 2), (96, 1), (96, 1), (96, 1), (96, 1)], prelu=False)
        (_, many), (_, more) = ANCHORS
        self.fine_scores = nn.Conv2d(88, many, 1)
        self.fine_numbers = nn.Conv2d(88, many * _NUMBERS, 1)
        self.coarse_scores = nn.Conv2d(96, more, 1)
        self.coarse_numbers = nn.Conv2d(96, more * _NUMBERS, 1)

    def forward(self, images: Tensor) -> FaceDetectorOutput:
        """images: (n, 3, 128, 128) float32 RGB in [-1, 1]."""
        fine = self.fine(self.stem(images))
        coarse = self.coarse(fine)
        numbers = [_by_anchor(self.fine_numbers(fine), _NUMBERS)]
        numbers.append(_by_anchor(self.coarse_numbers(coarse), _NUMBERS))
        scores = [_by_anchor(self.fine_scores(fine), 1), _by_anchor(self.coarse_scores(coarse), 1)]
        return FaceDetectorOutput(torch.cat(numbers, 1), torch.cat(scores, 1)[..., 0])


def _by_anchor(maps: Tensor, numbers: int) -> Tensor:
    """(n, anchors * numbers, side, side) -> (n, side * side * anchors, numbers)."""
    return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, numbers)
