"""Dark lines of lashes along the lid rims, drawn with depth over the shaded face."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@njit(cache=True)  # type: ignore[untyped-decorator]
def draw_line(
    image: Float32,
    nearness: Float32,
    line: Float32,
    widths: Float32,
    colour: Float32,
    opacity: float,
    slack: float,
) -> None:
    """Blend a polyline with soft edges into a linear image where the surface does not hide it.

    image: (h, w, 4) float32. nearness: (h, w) float32. line: (k, 3) float32 x, y, nearness.
    widths: (k,) float32 half widths, pixels. colour: (3,) linear. slack: nearness by which the
    line may lie behind the surface. A pixel takes the strongest of the segments once.
    """
    height, width = nearness.shape
    margin = widths.max() + np.float32(1.5)
    left = max(int(line[:, 0].min() - margin), 0)
    right = min(int(line[:, 0].max() + margin), width - 1)
    top = max(int(line[:, 1].min() - margin), 0)
    bottom = min(int(line[:, 1].max() + margin), height - 1)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if nearness[y, x] <= 0.0:
                continue
            best = np.float32(0.0)
            for k in range(len(line) - 1):
                dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
                squared = dx * dx + dy * dy + np.float32(1e-9)
                t = ((x - line[k, 0]) * dx + (y - line[k, 1]) * dy) / squared
                t = min(max(t, np.float32(0.0)), np.float32(1.0))
                near = line[k, 2] + t * (line[k + 1, 2] - line[k, 2])
                if near < nearness[y, x] - slack:
                    continue
                ox, oy = x - line[k, 0] - t * dx, y - line[k, 1] - t * dy
                half = widths[k] + t * (widths[k + 1] - widths[k])
                cover = half + np.float32(0.5) - np.float32(np.sqrt(ox * ox + oy * oy))
                best = max(best, min(min(cover, np.float32(1.0)), 2 * half))
            if best > 0.0:
                amount = np.float32(best * opacity)
                for channel in range(3):
                    image[y, x, channel] += amount * (colour[channel] - image[y, x, channel])
