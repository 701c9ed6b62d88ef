"""V_exp = V_face - V_id.

The global branch: the whole face's expression as the deviation from its identity (Eq. 1).

Images brought to the size that a branch works at.
"""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class GlobalBranch(nn.Module):
    """V_exp = V_face - V_id, then a linear layer to the embedding's width.

    The identity model starts as a copy of the face model and never changes: its parameters take
    no gradient and its batch normalisation keeps its statistics, also while training.

    backbone: maps (b, 3, size, size) to (b, backbone.width). size: pixels. width: of G_exp.
    """

    def __init__(self, backbone: nn.Module, *, backbone_width: int, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.face_model = backbone
        self.identity_model = copy.deepcopy(backbone)
        self.identity_model.requires_grad_(False)
        self.identity_model.eval()
        self.reduction = nn.Linear(backbone_width, width)

    def train(self, mode: bool = True) -> Self:
        """Set training mode everywhere but in the identity model."""
        super().train(mode)
        self.identity_model.eval()
        return self

    def identity(self, image: Tensor) -> Tensor:
        """V_id: (b, 3, h, w) -> (b, backbone_width), without gradient."""
        with torch.no_grad():
            vector: Tensor = self.identity_model(resize(image, self.size))
        return vector

    def deviation(self, image: Tensor, identity: Tensor | None = None) -> Tensor:
        """V_exp (Eq. 1): (b, 3, h, w) -> (b, backbone_width).

        identity: V_id, where it is known already.
        """
        if identity is None:
            identity = self.identity(image)
        expression: Tensor = self.face_model(resize(image, self.size)) - identity
        return expression

    def forward(self, image: Tensor, identity: Tensor | None = None) -> Tensor:
        """G_exp: (b, 3, h, w) float32, RGB, (value - 127.5) / 128 -> (b, width)."""
        expression: Tensor = self.reduction(self.deviation(image, identity))
        return expression


def resize(image: Tensor, size: int) -> Tensor:
    """Bilinear, low-passed where it shrinks: (b, c, h, w) float -> (b, c, size, size)."""
    if image.shape[-2:] == (size, size):
        return image
    return functional.interpolate(
        image, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
