"""Windows on a feature map: placed by points, turned with them, read by bilinear interpolation.

The three custom operators of MediaPipe's attention mesh, for all windows of a batch at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..landmarks.mesh.points import WINDOWS

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
