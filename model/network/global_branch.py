"""The global branch: the whole face's expression as the deviation from its identity (Eq. 1)."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class GlobalBranch(nn.Module):
    """V_exp = V_face - V_id (Eq. 1), then a linear layer to the embedding's width.

    The identity model starts as a copy of the face model and never changes: its parameters take no
    gradient and its batch normalisation keeps its statistics, also while training.

    Parameters
    ----------
    backbone : nn.Module
        The face model: (b, 3, size, size) -> (b, backbone_width).
    backbone_width : int
        Width of V_face, V_id and V_exp.
    size : int
        Side to which images are resized, pixels.
    width : int
        Width of G_exp.
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
        """Set training mode everywhere but in the identity model.

        Parameters
        ----------
        mode : bool
            False for evaluation mode.

        Returns
        -------
        GlobalBranch
            The branch itself.
        """
        super().train(mode)
        self.identity_model.eval()
        return self

    def identity(self, image: Tensor) -> Tensor:
        """Compute V_id without gradient.

        Parameters
        ----------
        image : (b, 3, h, w) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, backbone_width) float32
            V_id.
        """
        with torch.no_grad():
            vector: Tensor = self.identity_model(resize(image, self.size))
        return vector

    def deviation(self, image: Tensor, identity: Tensor | None = None) -> Tensor:
        """Compute V_exp (Eq. 1).

        Parameters
        ----------
        image : (b, 3, h, w) float32
            RGB, (value - 127.5) / 128.
        identity : (b, backbone_width) float32, optional
            V_id, where it is known already.

        Returns
        -------
        (b, backbone_width) float32
            V_exp.
        """
        if identity is None:
            identity = self.identity(image)
        expression: Tensor = self.face_model(resize(image, self.size)) - identity
        return expression

    def forward(self, image: Tensor, identity: Tensor | None = None) -> Tensor:
        """Compute G_exp.

        Parameters
        ----------
        image : (b, 3, h, w) float32
            RGB, (value - 127.5) / 128.
        identity : (b, backbone_width) float32, optional
            V_id, where it is known already.

        Returns
        -------
        (b, width) float32
            G_exp.
        """
        expression: Tensor = self.reduction(self.deviation(image, identity))
        return expression


def resize(image: Tensor, size: int) -> Tensor:
    """Resize images bilinearly, low-passed where they shrink.

    Parameters
    ----------
    image : (b, c, h, w) float
        Images.
    size : int
        New side, pixels.

    Returns
    -------
    (b, c, size, size) float
        The same tensor where it has that size already.
    """
    if image.shape[-2:] == (size, size):
        return image
    return functional.interpolate(
        image, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
