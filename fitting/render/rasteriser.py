"""A z-buffer: which triangle is seen at each pixel, and where on it.

Screen coordinates: x right and y down in pixels, pixel centres at whole numbers, and the nearness
1 / depth, which is linear over the screen under perspective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Raster:
    """What is seen at each pixel of an image of (h, w).

    triangle: (h, w) int32, -1 where nothing is. nearness: (h, w) float32, 1 / depth, 0 where
    nothing is. weights: (h, w, 2) float32, perspective-correct barycentric weights of the
    triangle's first two corners.
    """

    triangle: NDArray[np.int32]
    nearness: Float32
    weights: Float32

    @classmethod
    def empty(cls, height: int, width: int) -> Raster:
        """Buffers for an image of (height, width) pixels; `rasterise` fills them."""
        return cls(
            np.empty((height, width), np.int32),
            np.empty((height, width), np.float32),
            np.empty((height, width, 2), np.float32),
        )


def screen_points(
    seen: NDArray[np.floating], focal: float, centre: tuple[float, float]
) -> NDArray[np.float32]:
    """Points in camera coordinates (n, 3), decimetres, on the screen: (n, 3) x, y, nearness.

    Points behind the camera get nearness 0; `rasterise` leaves their triangles out.
    """
    depth = -np.asarray(seen, np.float64)[:, 2]
    nearness = np.where(depth > 1e-3, 1.0 / np.maximum(depth, 1e-3), 0.0)
    screen = np.empty((len(seen), 3), np.float32)
    screen[:, 0] = centre[0] + focal * seen[:, 0] * nearness
    screen[:, 1] = centre[1] - focal * seen[:, 1] * nearness
    screen[:, 2] = nearness
    return screen


def rasterise(screen: Float32, triangles: NDArray[np.int32], raster: Raster) -> Raster:
    """Draw triangles into `raster`, whose old content is lost; returns it.

    screen: (n, 3) float32, see `screen_points`. triangles: (m, 3) int32, counter-clockwise seen
    from outside in the world; those seen from behind are left out. Of two at one depth the
    first drawn stays.
    """
    _fill(
        np.ascontiguousarray(screen, np.float32),
        np.ascontiguousarray(triangles, np.int32),
        raster.triangle,
        raster.nearness,
        raster.weights,
    )
    return raster


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(
    screen: Float32,
    triangles: NDArray[np.int32],
    triangle: NDArray[np.int32],
    nearness: Float32,
    weights: Float32,
) -> None:
    """For a pixel p of triangle abc: w_a = [p, b, c] / [a, b, c], nearness = sum w n."""
    height, width = triangle.shape
    triangle[:] = -1
    nearness[:] = 0.0
    for index in range(len(triangles)):
        a, b, c = triangles[index]
        ax, ay, an = screen[a]
        bx, by, bn = screen[b]
        cx, cy, cn = screen[c]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # y points down, so counter-clockwise outside is negative here.
        if not area < -1e-9 or an <= 0.0 or bn <= 0.0 or cn <= 0.0:
            continue
        left = max(int(np.ceil(min(ax, bx, cx))), 0)
        right = min(int(np.floor(max(ax, bx, cx))), width - 1)
        top = max(int(np.ceil(min(ay, by, cy))), 0)
        bottom = min(int(np.floor(max(ay, by, cy))), height - 1)
        scale = np.float32(1.0) / area
        step_a, step_b = -(cy - by) * scale, -(ay - cy) * scale
        for y in range(top, bottom + 1):
            w_a = ((cx - bx) * (y - by) - (cy - by) * (left - bx)) * scale
            w_b = ((ax - cx) * (y - cy) - (ay - cy) * (left - cx)) * scale
            for x in range(left, right + 1):
                steps = np.float32(x - left)
                at_a, at_b = w_a + steps * step_a, w_b + steps * step_b
                at_c = np.float32(1.0) - at_a - at_b
                if at_a < -1e-5 or at_b < -1e-5 or at_c < -1e-5:
                    continue
                near = at_a * an + at_b * bn + at_c * cn
                if near > nearness[y, x]:
                    nearness[y, x] = near
                    triangle[y, x] = index
                    weights[y, x, 0] = at_a * an / near
                    weights[y, x, 1] = at_b * bn / near
