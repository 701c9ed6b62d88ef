"""MediaPipe's attention mesh network: 478 points of a face, lips, eyes and irises refined.

A trunk gives 468 points. They place three windows on the trunk's early features, one for the
lips and one for each eye, in which branches of their own find these parts again, finer.
Architecture: Grishchenko et al., Attention Mesh (2020), and the converted model itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import Stem, chain
from .mesh_points import (
    LEFT_EYE,
    LEFT_IRIS,
    LIPS,
    MESH_POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIM_POINTS,
)
from .windows import look_into, window_of

# Side of the square crop that the network takes, pixels.
CROP_SIDE = 192
# Crop pixels per pixel of the early features that the windows look into.
_FEATURE_STEP = 4


class FaceMeshOutput(NamedTuple):
    """points: (n, 478, 3), crop pixels (z: depth in the same unit, smaller is nearer).

    presence: (n,), the probability that the crop shows a face.
    """

    points: Tensor
    presence: Tensor


class PointHead(nn.Module):
    """Blocks that narrow to 32 channels, and a convolution over what is left: the points."""

    def __init__(self, inputs: int, side: int, numbers: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, 32, 1)
        self.activation = nn.PReLU(32)
        self.block = chain(32, [(32, 1)])
        self.points = nn.Conv2d(32, numbers, side)

    def features(self, features: Tensor) -> Tensor:
        """(n, inputs, side, side) -> (n, 32, side, side)."""
        narrow: Tensor = self.block(self.activation(self.narrow(features)))
        return narrow

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, side, side) -> (n, numbers)."""
        numbers: Tensor = self.points(self.features(features)).flatten(1)
        return numbers


class PartBranch(nn.Module):
    """The last blocks for one part: (n, 128, 4, 4) -> (n, points, 2), 64ths of the window."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.blocks = chain(128, [(128, 1), (128, 1), (128, 2), (128, 1), (128, 1)])
        self.head = PointHead(128, 2, 2 * points)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        numbers: Tensor = self.head(self.blocks(features))
        return numbers.unflatten(1, (-1, 2))


def window_blocks() -> nn.Sequential:
    """The first blocks for one window: (n, 32, 16, 16) -> (n, 128, 4, 4)."""
    return chain(32, [(32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (128, 2)])


class FaceMesh(nn.Module):
    """The whole network; parameters as in the weights file."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(16, 3, prelu=True)
        self.early = chain(16, [(16, 1), (16, 1), (32, 2)])
        self.late = chain(
            32,
            [
                *((32, 1), (32, 1), (64, 2), (64, 1), (64, 1)),
                *((128, 2), (128, 1), (128, 1), (128, 2), (128, 1), (128, 1)),
                *((128, 2), (128, 1), (128, 1)),
            ],
        )
        self.mesh = PointHead(128, 3, 3 * MESH_POINTS)
        self.presence = nn.Conv2d(32, 1, 3)
        self.lips_window = window_blocks()
        self.right_eye_window = window_blocks()
        self.left_eye_window = window_blocks()
        self.lips = PartBranch(len(LIPS.points))
        self.right_eye = PartBranch(len(RIGHT_EYE.points))
        self.left_eye = PartBranch(len(LEFT_EYE.points))
        self.right_iris = PartBranch(len(RIGHT_IRIS))
        self.left_iris = PartBranch(len(LEFT_IRIS))

    def forward(self, crops: Tensor) -> FaceMeshOutput:
        """crops: (n, 3, 192, 192) float32 RGB in [0, 1]."""
        early = self.early(self.stem(crops))
        narrow = self.mesh.features(self.late(early))
        mesh = self.mesh.points(narrow).unflatten(1, (MESH_POINTS, 3)).flatten(2)
        mesh = mesh.reshape(-1, MESH_POINTS, 3)
        presence = torch.sigmoid(self.presence(narrow).flatten())
        return FaceMeshOutput(self._refined(early, mesh), presence)

    def _refined(self, early: Tensor, mesh: Tensor) -> Tensor:
        flat = mesh[..., :2] / _FEATURE_STEP
        points = torch.cat([mesh, mesh.new_zeros(len(mesh), len(RIGHT_IRIS + LEFT_IRIS), 3)], 1)

        window = window_of(flat, LIPS)
        features = self.lips_window(look_into(early, window))
        points[:, LIPS.points, :2] = _FEATURE_STEP * window.to_map(self.lips(features))
        for part, blocks, eye, iris, iris_points in (
            (RIGHT_EYE, self.right_eye_window, self.right_eye, self.right_iris, RIGHT_IRIS),
            (LEFT_EYE, self.left_eye_window, self.left_eye, self.left_iris, LEFT_IRIS),
        ):
            window = window_of(flat, part)
            features = blocks(look_into(early, window))
            points[:, part.points, :2] = _FEATURE_STEP * window.to_map(eye(features))
            points[:, iris_points, :2] = _FEATURE_STEP * window.to_map(iris(features))
            depth = mesh[:, part.points[:RIM_POINTS], 2].mean(1, keepdim=True)
            points[:, iris_points, 2] = depth.expand(-1, len(iris_points))
        return points
