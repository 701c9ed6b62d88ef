"""Both networks and their blocks.

MediaPipe's attention mesh network: 478 points of a face, lips, eyes and irises refined.

A trunk gives 468 points. They place three windows on the trunk's early features, on the lips and
on each eye, in which branches of their own find these parts again, finer. The windows and the
branches have equal layers: each runs as one stack with a group of channels for each of them.
Architecture: Grishchenko et al., Attention Mesh (2020), and the converted model itself.

The two blocks that MediaPipe's face networks are made of, as torch modules.

MediaPipe's short-range face detector network: boxes and six points at 896 anchors.

Windows on a feature map: placed by points, turned with them, read by bilinear interpolation.

The three custom operators of MediaPipe's attention mesh, for all windows of a batch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

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


# Pixels of a window's side, and its side over the extent of the points that place it.
WINDOW_SIDE = 16
_WIDER = 1.5
# The branches count from 0 to this across a window.
_POINT_SCALE = 64


class Windows(NamedTuple):
    """axes: (n, k, 2, 2), the steps of a window pixel along x and y (columns), feature pixels.

    centre: (n, k, 2), feature pixels. Coordinates count from the outer corner of the first pixel.
    """

    axes: Tensor
    centre: Tensor

    def of(self, numbers: Tensor) -> Windows:
        """The windows of these numbers, repeats allowed."""
        return Windows(self.axes[:, numbers], self.centre[:, numbers])

    def to_map(self, points: Tensor) -> Tensor:
        """Points (n, k, m, 2) as branches give them, 64ths of their window, in feature pixels."""
        centred = points * (WINDOW_SIDE / _POINT_SCALE) - WINDOW_SIDE / 2
        return centred @ self.axes.transpose(2, 3) + self.centre[:, :, None]


@lru_cache(maxsize=4)
def _placing_points(device: torch.device) -> tuple[Tensor, Tensor]:
    """The points that place each window (k, m), the fewer repeated; and the level ones (2, k)."""
    most = max(len(window.points) for window in WINDOWS)
    points = [window.points + window.points[: most - len(window.points)] for window in WINDOWS]
    level = [window.level for window in WINDOWS]
    return torch.tensor(points, device=device), torch.tensor(level, device=device).T


def place_windows(points: Tensor) -> Windows:
    """All windows on a face. points: (n, 468, 2), feature pixels."""
    placing, (first, last) = _placing_points(points.device)
    along = points[:, last] - points[:, first]
    along = along / along.norm(dim=2, keepdim=True).clamp_min(1e-6)
    across = torch.stack([-along[..., 1], along[..., 0]], 2)
    # Columns: the directions of the window's x and y.
    turn = torch.stack([along, across], 3)
    level = points[:, placing] @ turn
    low, high = level.amin(2), level.amax(2)
    centre = (turn @ ((low + high) / 2)[..., None])[..., 0]
    scale = _WIDER * (high - low) / WINDOW_SIDE
    return Windows(turn * scale[:, :, None], centre)


def look_into(features: Tensor, windows: Windows) -> Tensor:
    """What windows show, 0 outside: (n, channels, side, side) -> (n, k * channels, 16, 16)."""
    count, channels, side, _ = features.shape
    steps = torch.arange(WINDOW_SIDE, device=features.device) + (0.5 - WINDOW_SIDE / 2)
    x_axis, y_axis = (windows.axes[:, :, None, None, :, axis] for axis in (0, 1))
    places = (
        windows.centre[:, :, None, None] + steps[:, None] * x_axis + steps[:, None, None] * y_axis
    )
    # Sampling takes coordinates from -1 to 1 over the outer corners.
    grid = (places * (2 / side) - 1).flatten(1, 2)
    seen = functional.grid_sample(features, grid, padding_mode="zeros", align_corners=False)
    # MediaPipe's operator gives 0 from the centres of the outermost pixels on.
    seen = seen * (grid.abs() <= 1 - 1 / side).all(-1)[:, None]
    tall = seen.view(count, channels, -1, WINDOW_SIDE, WINDOW_SIDE)
    return tall.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)
