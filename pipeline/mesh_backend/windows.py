"""Windows on a feature map: placed by points, turned with them, read by bilinear interpolation.

The three custom operators of MediaPipe's attention mesh, in batches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .mesh_points import Part

# Pixels of a window's side, and its side over the extent of the points that place it.
WINDOW_SIDE = 16
_WIDER = 1.5
# The branches count from 0 to this across a window.
_POINT_SCALE = 64


class Window(NamedTuple):
    """axes: (n, 2, 2), the steps of a window pixel along x and y (columns), feature pixels.

    centre: (n, 2), feature pixels. Coordinates count from the outer corner of the first pixel.
    """

    axes: Tensor
    centre: Tensor

    def to_map(self, points: Tensor) -> Tensor:
        """Points (n, k, 2) as branches give them, 64ths of the window, in feature pixels."""
        centred = points * (WINDOW_SIDE / _POINT_SCALE) - WINDOW_SIDE / 2
        return centred @ self.axes.transpose(1, 2) + self.centre[:, None]


def window_of(points: Tensor, part: Part) -> Window:
    """The window on a part: (n, 468, 2) points of the whole face, feature pixels."""
    first, last = (points[:, index] for index in part.level)
    along = last - first
    along = along / along.norm(dim=1, keepdim=True).clamp_min(1e-6)
    # Columns: the directions of the window's x and y.
    turn = torch.stack([along, torch.stack([-along[:, 1], along[:, 0]], 1)], 2)
    level = points[:, part.points] @ turn
    low, high = level.amin(1), level.amax(1)
    centre = (turn @ ((low + high) / 2)[..., None])[..., 0]
    scale = _WIDER * (high - low) / WINDOW_SIDE
    return Window(turn * scale[:, None], centre)


def look_into(features: Tensor, window: Window) -> Tensor:
    """What a window shows, 0 outside: (n, channels, side, side) -> (n, channels, 16, 16)."""
    side = features.shape[-1]
    # Sampling takes coordinates from -1 to 1 over the outer corners; window corners as well.
    axes = window.axes * (WINDOW_SIDE / side)
    centre = window.centre * (2 / side) - 1
    transform = torch.cat([axes, centre[..., None]], 2)
    size = [len(features), features.shape[1], WINDOW_SIDE, WINDOW_SIDE]
    grid = functional.affine_grid(transform, size, align_corners=False)
    seen = functional.grid_sample(features, grid, padding_mode="zeros", align_corners=False)
    # MediaPipe's operator gives 0 from the centres of the outermost pixels on.
    inside = (grid.abs() <= 1 - 1 / side).all(-1)
    return seen * inside[:, None]
