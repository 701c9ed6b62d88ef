"""Point-to-curve distance: from a projected landmark to the detected 2D contour (D of Eq. 3)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from . import landmark_scheme


def curve_table() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The scheme's curves as arrays for the kernels.

    Returns (68,) int32, the curve that each landmark slides on or -1 for an end point, and
    (curves, longest + 1) int32, the landmarks of each curve, -1 behind its last.
    """
    longest = max(len(nodes) for nodes in landmark_scheme.CURVES.values())
    nodes = np.full((len(landmark_scheme.CURVES), longest + 1), -1, np.int32)
    curve_of = np.full(landmark_scheme.COUNT, -1, np.int32)
    for row, members in enumerate(landmark_scheme.CURVES.values()):
        nodes[row, : len(members)] = members
        for landmark in members[1:-1]:
            curve_of[landmark] = row
    return curve_of, nodes


@njit(cache=True, boundscheck=False)
def signed_distance(
    x: float, y: float, target: NDArray[np.float64], nodes: NDArray[np.int32]
) -> tuple[float, float, float]:
    """Signed distance of (x, y) from the polyline target[nodes] and its gradient (gx, gy).

    Positive on the left of the polyline's direction. Beside a node the distance is that to the
    node and the gradient points away from it, so that half the square of the distance has the
    gradient ``distance * (gx, gy)`` everywhere. Nodes that are NaN are left out; without any two
    finite nodes all three are 0.
    """
    best = np.inf
    distance, gx, gy = 0.0, 0.0, 0.0
    last = -1
    for k in range(len(nodes)):
        node = nodes[k]
        if node < 0:
            break
        if not np.isfinite(target[node, 0] + target[node, 1]):
            continue
        if last < 0:
            last = node
            continue
        ax, ay = target[last, 0], target[last, 1]
        ex, ey = target[node, 0] - ax, target[node, 1] - ay
        last = node
        square = ex * ex + ey * ey
        if square < 1e-24:
            continue
        px, py = x - ax, y - ay
        along = (px * ex + py * ey) / square
        clamped = min(max(along, 0.0), 1.0)
        dx, dy = px - clamped * ex, py - clamped * ey
        found = dx * dx + dy * dy
        if found < best:
            best = found
            length = np.sqrt(square)
            nx, ny = -ey / length, ex / length
            side = px * nx + py * ny
            apart = np.sqrt(found)
            if clamped == along or apart < 1e-12:
                distance, gx, gy = side, nx, ny
            else:
                sign = 1.0 if side >= 0.0 else -1.0
                distance, gx, gy = sign * apart, sign * dx / apart, sign * dy / apart
    return distance, gx, gy


def distances_to_curve(points: ArrayLike, polyline: ArrayLike) -> NDArray[np.float64]:
    """Signed distances of points (n, 2) from a polyline (m, 2), (n,) float64, their unit."""
    target = np.asarray(polyline, np.float64)
    nodes = np.append(np.arange(len(target)), -1).astype(np.int32)
    every = np.asarray(points, np.float64).reshape(-1, 2)
    return np.array([signed_distance(x, y, target, nodes)[0] for x, y in every])
