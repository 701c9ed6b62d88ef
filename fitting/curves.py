"""Point-to-curve distance: from a projected landmark to the detected 2D contour (D of Eq. 3)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .morphable_model.landmark_scheme import SEGMENT


@njit(cache=True, boundscheck=False)
def cut_curve(
    target: NDArray[np.float64],
    nodes: NDArray[np.int32],
    curve: int,
    segments: NDArray[np.float64],
) -> int:
    """Fill segments[curve] with the polyline target[nodes[curve]]; its number of segments.

    A segment is its start (2), its vector (2), 1 / its squared length, and its left normal (2).
    Nodes that are NaN are left out, and segments without length.
    """
    count, last = 0, -1
    for k in range(nodes.shape[1]):
        node = nodes[curve, k]
        if node < 0:
            break
        if not np.isfinite(target[node, 0] + target[node, 1]):
            continue
        if last >= 0:
            ex = target[node, 0] - target[last, 0]
            ey = target[node, 1] - target[last, 1]
            square = ex * ex + ey * ey
            if square > 1e-24:
                length = np.sqrt(square)
                segments[curve, count, 0] = target[last, 0]
                segments[curve, count, 1] = target[last, 1]
                segments[curve, count, 2], segments[curve, count, 3] = ex, ey
                segments[curve, count, 4] = 1.0 / square
                segments[curve, count, 5] = -ey / length
                segments[curve, count, 6] = ex / length
                count += 1
        last = node
    return count


@njit(cache=True, boundscheck=False)
def nearest_on(
    x: float, y: float, segments: NDArray[np.float64], curve: int, count: int
) -> tuple[float, float, float]:
    """Signed distance of (x, y) from a curve of `count` segments, and its gradient.

    Positive on the left of the polyline's direction. Beside a node the distance is that to the
    node and the gradient points away from it, so that half the square of the distance has the
    gradient ``distance * (gx, gy)`` everywhere. Without a segment all three are 0.
    """
    best, nearest, at = np.inf, -1, 0.0
    for k in range(count):
        px, py = x - segments[curve, k, 0], y - segments[curve, k, 1]
        ex, ey = segments[curve, k, 2], segments[curve, k, 3]
        along = min(max((px * ex + py * ey) * segments[curve, k, 4], 0.0), 1.0)
        dx, dy = px - along * ex, py - along * ey
        square = dx * dx + dy * dy
        if square < best:
            best, nearest, at = square, k, along
    if nearest < 0:
        return 0.0, 0.0, 0.0
    px, py = x - segments[curve, nearest, 0], y - segments[curve, nearest, 1]
    nx, ny = segments[curve, nearest, 5], segments[curve, nearest, 6]
    side = px * nx + py * ny
    apart = np.sqrt(best)
    if 0.0 < at < 1.0 or apart < 1e-12:
        return side, nx, ny
    sign = 1.0 if side >= 0.0 else -1.0
    dx = px - at * segments[curve, nearest, 2]
    dy = py - at * segments[curve, nearest, 3]
    return sign * apart, sign * dx / apart, sign * dy / apart


def signed_distances(points: ArrayLike, polyline: ArrayLike) -> NDArray[np.float64]:
    """Signed distances of points (n, 2) from a polyline (m, 2) and their gradients, (n, 3)."""
    target = np.asarray(polyline, np.float64)
    nodes = np.append(np.arange(len(target)), -1).astype(np.int32)[None]
    segments = np.zeros((1, len(target) + 1, SEGMENT))
    count = cut_curve(target, nodes, 0, segments)
    every = np.asarray(points, np.float64).reshape(-1, 2)
    return np.array([nearest_on(x, y, segments, 0, count) for x, y in every])
