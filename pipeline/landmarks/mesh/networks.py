"""MediaPipe's attention mesh network: 478 points of a face, lips, eyes and irises refined.

A trunk gives 468 points. They place three windows on the trunk's early features, on the lips and
on each eye, in which branches of their own find these parts again, finer. The windows and the
branches have equal layers: each runs as one stack with a group of channels for each of them.
Architecture: Grishchenko et al., Attention Mesh (2020), and the converted model itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...mesh_backend.blocks import Pointwise, SeparableBlock, Stem, chain, from_rows, to_rows
from ...mesh_backend.windows import Windows, look_into, place_windows
from .points import BRANCHES, COUNT, EYES, IRIS_POINTS, MESH_POINTS, RIM_POINTS, WINDOWS

# Side of the square crop that the network takes, pixels.
CROP_SIDE = 192
# Crop pixels per pixel of the early features that the windows look into.
_FEATURE_STEP = 4
# Channels in which points are found, and the most points that a branch gives.
_NARROW = 32
BRANCH_POINTS = max(len(branch.points) for branch in BRANCHES)


class FaceMeshOutput(NamedTuple):
    """points: (n, 478, 3), crop pixels (z: depth in the same unit, smaller is nearer).

    presence: (n,), the probability that the crop shows a face.
    """

    points: Tensor
    presence: Tensor


class Narrow(nn.Module):
    """To the features that points are read from: (n, groups * inputs, ...) -> 32 in a group."""

    def __init__(self, inputs: int, groups: int = 1) -> None:
        super().__init__()
        self.pointwise = Pointwise(inputs, _NARROW, groups)
        self.activation = nn.PReLU(groups * _NARROW)
        self.block = SeparableBlock(_NARROW, _NARROW, groups=groups)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        rows = self.activation(self.pointwise(to_rows(features)))
        narrow: Tensor = self.block(from_rows(rows, features.shape[-1]))
        return narrow


class Branches(nn.Module):
    """The last layers of all branches, each a group: (n, 5 * 128, 4, 4) -> (n, 5, 80, 2).

    Points in 64ths of the branch's window; a branch with fewer than 80 gives zeros after its own.
    """

    def __init__(self) -> None:
        super().__init__()
        groups = len(BRANCHES)
        widths = [(128, 1), (128, 1), (128, 2), (128, 1), (128, 1)]
        self.blocks = chain(128, widths, groups=groups)
        self.narrow = Narrow(128, groups)
        numbers = groups * 2 * BRANCH_POINTS
        self.points = nn.Conv2d(groups * _NARROW, numbers, 2, groups=groups)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        numbers = self.points(self.narrow(self.blocks(features)))
        return torch.reshape(numbers, (-1, len(BRANCHES), BRANCH_POINTS, 2))


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
        self.narrow = Narrow(128)
        self.points = nn.Conv2d(_NARROW, 3 * MESH_POINTS, 3)
        self.presence = nn.Conv2d(_NARROW, 1, 3)
        widths = [(32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (128, 2)]
        self.windows = chain(32, widths, groups=len(WINDOWS))
        self.branches = Branches()
        self.window_of_branch: Tensor
        self.rims: Tensor
        self.source: Tensor
        self._register("window_of_branch", [branch.window for branch in BRANCHES])
        self._register("rims", [WINDOWS[eye].points[:RIM_POINTS] for eye in EYES])
        self._register("source", _source_of_points())

    def _register(self, name: str, numbers: list[int] | list[tuple[int, ...]]) -> None:
        self.register_buffer(name, torch.tensor(numbers), persistent=False)

    def forward(self, crops: Tensor) -> FaceMeshOutput:
        """crops: (n, 3, 192, 192) float32 RGB in [0, 1]."""
        early = self.early(self.stem(crops))
        features = self.narrow(self.late(early))
        mesh = torch.reshape(self.points(features), (-1, MESH_POINTS, 3))
        presence = torch.sigmoid(self.presence(features).flatten())
        windows = place_windows(mesh[..., :2] / _FEATURE_STEP)
        flat = torch.cat([mesh[..., :2], self._refined(early, windows)], 1)[:, self.source]
        iris = mesh[..., 2][:, self.rims].mean(-1).repeat_interleave(IRIS_POINTS, 1)
        depth = torch.cat([mesh[..., 2], iris], 1)
        return FaceMeshOutput(torch.cat([flat, depth[..., None]], 2), presence)

    def _refined(self, early: Tensor, windows: Windows) -> Tensor:
        """Points of all branches in crop pixels: (n, 5 * 80, 2)."""
        features = self.windows(look_into(early, windows))
        by_window = features.reshape(len(features), len(WINDOWS), -1, *features.shape[2:])
        by_branch = by_window.index_select(1, self.window_of_branch).flatten(1, 2)
        by_branch = by_branch.contiguous(memory_format=torch.channels_last)
        points = windows.of(self.window_of_branch).to_map(self.branches(by_branch))
        return _FEATURE_STEP * points.flatten(1, 2)


def _source_of_points() -> list[int]:
    """Where each of the 478 points comes from, in the trunk's and then all branches' points."""
    source = list(range(COUNT))
    for number, branch in enumerate(BRANCHES):
        first = MESH_POINTS + number * BRANCH_POINTS
        for place, point in enumerate(branch.points):
            source[point] = first + place
    return source
