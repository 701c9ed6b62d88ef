"""A z-buffer: which triangle is seen at each pixel, and where on it.

Screen coordinates: x right and y down in pixels, pixel centres at whole numbers, and the inverse
depth, which is linear over the screen under perspective (Heckbert and Moreton 1991). In a view
without perspective any number that grows linearly towards the viewer takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Raster:
    """What is seen at each pixel of an image.

    Attributes
    ----------
    triangle : (h, w) int32, -1 where nothing is
    inverse_depth : (h, w) float32, 1 / decimetres, 0 where nothing is
    weights : (h, w, 2) float32, perspective-correct barycentric weights of the triangle's first two
        corners
    """

    triangle: NDArray[np.int32]
    inverse_depth: Float32
    weights: Float32

    @classmethod
    def empty(cls, height: int, width: int) -> Raster:
        """Buffers that `rasterise` fills; they hold no picture yet.

        Parameters
        ----------
        height, width : of the image, pixels

        Returns
        -------
        Raster
        """
        return cls(
            np.empty((height, width), np.int32),
            np.empty((height, width), np.float32),
            np.empty((height, width, 2), np.float32),
        )


def screen_points(
    vertices: NDArray[np.floating], focal: float, centre: tuple[float, float]
) -> NDArray[np.float32]:
    """Project points to the screen by a pinhole camera.

    Parameters
    ----------
    vertices : (n, 3) float, camera coordinates (x right, y up, looking along -z), decimetres
    focal : focal length, pixels
    centre : principal point, pixels

    Returns
    -------
    (n, 3) float32
        x, y in pixels and inverse depth; 0 for points behind the camera, whose triangles
        `rasterise` leaves out
    """
    depth = -np.asarray(vertices, np.float64)[:, 2]
    inverse_depth = np.where(depth > 1e-3, 1.0 / np.maximum(depth, 1e-3), 0.0)
    screen = np.empty((len(vertices), 3), np.float32)
    screen[:, 0] = centre[0] + focal * vertices[:, 0] * inverse_depth
    screen[:, 1] = centre[1] - focal * vertices[:, 1] * inverse_depth
    screen[:, 2] = inverse_depth
    return screen


def rasterise(screen: Float32, triangles: NDArray[np.int32], raster: Raster) -> Raster:
    """Draw triangles into a raster, whose old content is lost.

    Of two at one depth the first drawn stays.

    Parameters
    ----------
    screen : (n, 3) float32, see `screen_points`
    triangles : (m, 3) int32, counter-clockwise seen from outside in the world; those seen from
        behind are left out
    raster : the buffers, changed in place

    Returns
    -------
    Raster
        the one that was given
    """
    _fill(
        np.ascontiguousarray(screen, np.float32),
        np.ascontiguousarray(triangles, np.int32),
        raster.triangle,
        raster.inverse_depth,
        raster.weights,
    )
    return raster


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(
    screen: Float32,
    triangles: NDArray[np.int32],
    triangle: NDArray[np.int32],
    inverse_depth: Float32,
    weights: Float32,
) -> None:
    """Edge functions (Pineda 1988), with [a, b, c] twice the signed area of a triangle.

    The barycentric weights of a pixel p are w_a = [p, b, c] / [a, b, c] and so on; its inverse
    depth is n = w_a n_a + w_b n_b + w_c n_c.
    """
    height, width = triangle.shape
    triangle[:] = -1
    inverse_depth[:] = 0.0
    for index in range(len(triangles)):
        a, b, c = triangles[index]
        ax, ay, an = screen[a]
        bx, by, bn = screen[b]
        cx, cy, cn = screen[c]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # y points down, so counter-clockwise outside is negative here.
        if not area < -1e-9 or an <= 0.0 or bn <= 0.0 or cn <= 0.0:
            continue
        # Pixels whose centres lie in the bounding box.
        left = max(int(np.ceil(min(ax, bx, cx))), 0)
        right = min(int(np.floor(max(ax, bx, cx))), width - 1)
        top = max(int(np.ceil(min(ay, by, cy))), 0)
        bottom = min(int(np.floor(max(ay, by, cy))), height - 1)
        # The weights are affine in x and y: evaluated at a row's first pixel, then stepped along x
        # by their derivatives d w_a / dx = -(c_y - b_y) / area, d w_b / dx = -(a_y - c_y) / area.
        scale = np.float32(1.0) / area
        step_a, step_b = -(cy - by) * scale, -(ay - cy) * scale
        for y in range(top, bottom + 1):
            w_a = ((cx - bx) * (y - by) - (cy - by) * (left - bx)) * scale
            w_b = ((ax - cx) * (y - cy) - (ay - cy) * (left - cx)) * scale
            for x in range(left, right + 1):
                steps = np.float32(x - left)
                at_a, at_b = w_a + steps * step_a, w_b + steps * step_b
                at_c = np.float32(1.0) - at_a - at_b
                # The tolerance closes the seams between triangles that rounding would leave.
                if at_a < -1e-5 or at_b < -1e-5 or at_c < -1e-5:
                    continue
                near = at_a * an + at_b * bn + at_c * cn
                if near > inverse_depth[y, x]:
                    inverse_depth[y, x] = near
                    triangle[y, x] = index
                    # Perspective correction: on the surface the weights are w_a n_a / n.
                    weights[y, x, 0] = at_a * an / near
                    weights[y, x, 1] = at_b * bn / near
