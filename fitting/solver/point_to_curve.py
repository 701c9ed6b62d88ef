"""Point-to-curve distance: from a projected landmark to the detected 2D contour (D of Eq. 3).

A curve is the polyline through the detected landmarks of one contour (a lid, a lip, a brow). It is
cut into segments once a frame, since it stays the same in all iterations.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..morphable_model.landmark_scheme import SEGMENT


@njit(cache=True, boundscheck=False)
def cut_curve(
    target: NDArray[np.float64],
    nodes: NDArray[np.int32],
    curve: int,
    segments: NDArray[np.float64],
) -> int:
    """Fill segments[curve] with the polyline target[nodes[curve]].

    Nodes that are NaN are left out, and segments without length.

    Parameters
    ----------
    target : (p, 2) float64, detected landmarks
    nodes : (curves, k) int32, landmarks of each curve, -1 behind its last
    curve : which of them
    segments : (curves, k, 7) float64; a segment is its start (2), its vector (2), 1 / its squared
        length, and its left normal (2)

    Returns
    -------
    int
        number of segments
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
                # The left normal is the vector e turned by +90 degrees: (-ey, ex) / |e|.
                segments[curve, count, 5] = -ey / length
                segments[curve, count, 6] = ex / length
                count += 1
        last = node
    return count


@njit(cache=True, boundscheck=False)
def nearest_on(
    x: float, y: float, segments: NDArray[np.float64], curve: int, count: int
) -> tuple[float, float, float, float]:
    """Signed distance of a point from a curve, its gradient, and how that turns along the curve.

    Positive on the left of the polyline's direction. Beside a node the distance is that to the
    node and the gradient points away from it, so that half the square of the distance has the
    gradient ``distance * (gx, gy)`` everywhere.

    Parameters
    ----------
    x, y : the point
    segments : (curves, k, 7) float64, as `cut_curve` fills them
    curve : which of them
    count : number of its segments

    Returns
    -------
    tuple of distance, gx, gy and bend
        the distance's second derivative is bend t t^T with t = (-gy, gx): 0 within a segment, and
        1 / distance beside a node; all 0 where the curve has no segment
    """
    # The foot on a segment is a + along e with along = (p - a) . e / |e|^2, kept within [0, 1].
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
        return 0.0, 0.0, 0.0, 0.0
    # Within a segment the distance is that to its line, (p - a) . normal, whose gradient is the
    # normal. On the curve itself the direction to the foot is not defined, and the normal serves.
    px, py = x - segments[curve, nearest, 0], y - segments[curve, nearest, 1]
    nx, ny = segments[curve, nearest, 5], segments[curve, nearest, 6]
    side = px * nx + py * ny
    apart = np.sqrt(best)
    if 0.0 < at < 1.0 or apart < 1e-12:
        return side, nx, ny, 0.0
    # Beside a node n the distance is |p - n|, with the sign of the side, and its gradient
    # (p - n) / |p - n|.
    sign = 1.0 if side >= 0.0 else -1.0
    dx = px - at * segments[curve, nearest, 2]
    dy = py - at * segments[curve, nearest, 3]
    return sign * apart, sign * dx / apart, sign * dy / apart, sign / apart


def signed_distances(points: ArrayLike, polyline: ArrayLike) -> NDArray[np.float64]:
    """Signed distances of points from a polyline and their gradients.

    Parameters
    ----------
    points : (n, 2) float
    polyline : (m, 2) float, nodes in order; NaN where one is missing

    Returns
    -------
    (n, 3) float64
        distance, and its gradient by x and y, as `nearest_on` gives them
    """
    target = np.asarray(polyline, np.float64)
    nodes = np.append(np.arange(len(target)), -1).astype(np.int32)[None]
    segments = np.zeros((1, len(target) + 1, SEGMENT))
    count = cut_curve(target, nodes, 0, segments)
    every = np.asarray(points, np.float64).reshape(-1, 2)
    return np.array([nearest_on(x, y, segments, 0, count)[:3] for x, y in every])
