"""Residuals of one frame and their Jacobian: contour, projection, curves, robust loss, whitening.

Residuals of one frame and their Jacobian: the data term of Eq. 3, in Numba.

An end point has two residuals (x, y), a sliding point one, its signed distance from the detected
curve. Unknowns are K coefficients, a rotation update multiplied from the left, and the translation.

Where the model's landmarks lie in space for given unknowns (Numba).

Point-to-curve distance: from a projected landmark to the detected 2D contour (D of Eq. 3).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..morphable_model.landmark_scheme import SEGMENT
from .linear_algebra import SUMS, cholesky, solve_lower
from .problem import (
    GEMAN_MCCLURE,
    HUBER,
    POSE,
    Frame,
    Loss,
    PointModel,
    Scheme,
    Work,
    contour_candidate,
)


@njit(cache=True, boundscheck=False)
def begin_frame(
    points: PointModel,
    frame: Frame,
    scheme: Scheme,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> None:
    """Make the work arrays ready for a frame, before `evaluate`: its curves, the jaw contour."""
    for curve in range(len(scheme.nodes)):
        work.segment_count[curve] = cut_curve(frame.target, scheme.nodes, curve, work.segments)
    choose_contour(points, x, rotation, translation, work)


@njit(cache=True, boundscheck=False)
def evaluate(
    points: PointModel,
    frame: Frame,
    scheme: Scheme,
    loss: Loss,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> float:
    """Data energy at the unknowns; fills the work arrays but the Jacobian. Infinite if behind."""
    place(points, x, rotation, translation, work)
    # Fields are taken out of their tuples once: each access inside the loop would count references.
    seen, value, row_weight = work.seen, work.value, work.row_weight
    landmark, direction, distance = work.landmark, work.direction, work.distance
    segments, segment_count, curve_of = work.segments, work.segment_count, scheme.curve_of
    target, root_weight, focal = frame.target, frame.root_weight, frame.focal
    kind, scale = loss.kind, loss.scale
    row, energy = 0, 0.0
    for i in range(len(target)):
        depth = -seen[i, 2]
        if not depth > 1e-3:
            return np.inf
        u, v = focal * seen[i, 0] / depth, focal * seen[i, 1] / depth
        first, curve, weight = row, curve_of[i], root_weight[i]
        if curve >= 0:
            value[row], direction[row, 0], direction[row, 1] = nearest_on(
                u, v, segments, curve, segment_count[curve]
            )
            row += 1
        else:
            value[row], direction[row, 0], direction[row, 1] = u - target[i, 0], 1.0, 0.0
            value[row + 1], direction[row + 1, 0] = v - target[i, 1], 0.0
            direction[row + 1, 1] = 1.0
            row += 2
        square = 0.0
        for r in range(first, row):
            landmark[r] = i
            if not weight > 0.0:
                value[r] = 0.0
            square += value[r] * value[r]
        distance[i] = np.sqrt(square)
        share, factor = _robust(kind, scale, weight * weight * square)
        energy += share
        root = weight * np.sqrt(factor)
        for r in range(first, row):
            value[r] *= root
            row_weight[r] = root
    if loss.covariance.shape[0] > 0:
        return _whiten(loss.covariance[frame.yaw_range], loss.unit, work)
    return energy


@njit(cache=True, boundscheck=False)
def _robust(kind: int, scale: float, square: float) -> tuple[float, float]:
    """Energy of a landmark's weighed squared distance, and its derivative by that square.

    Rows scaled by the derivative's root have the energy's gradient (iteratively reweighted).
    """
    if kind == HUBER and square > scale * scale:
        size = np.sqrt(square)
        return scale * (2.0 * size - scale), scale / size
    if kind == GEMAN_MCCLURE:
        share = scale * scale / (scale * scale + square)
        return square * share, share * share
    return square, 1.0


@njit(cache=True, boundscheck=False)
def _whiten(c: NDArray[np.float64], unit: float, work: Work) -> float:
    """Whiten the landmarks' residuals by the covariance of what each row measures; the energy.

    c: (136, 136), the covariance of the frame's range of yaw.
    """
    rows = work.whitened
    factor, tile = work.factor, np.empty((4, 4))
    for i in range(rows):
        p, here = 2 * work.landmark[i], work.row_weight[i] > 0.0
        a0, a1 = work.direction[i]
        for j in range(i + 1):
            factor[i, j] = 0.0
            if here and work.row_weight[j] > 0.0:
                q = 2 * work.landmark[j]
                b0, b1 = work.direction[j]
                factor[i, j] = a0 * (c[p, q] * b0 + c[p, q + 1] * b1) + a1 * (
                    c[p + 1, q] * b0 + c[p + 1, q + 1] * b1
                )
        factor[i, i] += 1e-12 if here else 1.0
    if not cholesky(factor, rows, rows, tile):
        return np.inf
    solve_lower(factor, rows, work.value)
    energy = 0.0
    for i in range(rows):
        work.value[i] *= unit
    for i in range(len(work.value)):
        energy += work.value[i] ** 2
    return energy


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _combine(
    out: NDArray[np.floating],
    modes: NDArray[np.floating],
    a: np.floating,
    b: np.floating,
    c: np.floating,
    count: int,
) -> None:
    """out = a modes[0] + b modes[1] + c modes[2] over the first `count` columns."""
    mx, my, mz = modes[0], modes[1], modes[2]
    for k in range(count):
        out[k] = a * mx[k] + b * my[k] + c * mz[k]


@njit(cache=True, boundscheck=False)
def linearise(
    points: PointModel,
    frame: Frame,
    loss: Loss,
    rotation: NDArray[np.float64],
    work: Work,
) -> None:
    """Fill work.jacobian (columns: coefficients, rotation, translation) after `evaluate`."""
    count = points.modes.shape[2]
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    modes, line_modes, candidate = points.modes, points.line_modes, work.candidate
    seen, turned, jacobian, focal = work.seen, work.turned, work.jacobian, frame.focal
    landmark, direction, row_weight = work.landmark, work.direction, work.row_weight
    kind = modes.dtype.type
    for row in range(len(row_weight)):
        i = landmark[row]
        depth = -seen[i, 2]
        scale = row_weight[row] * focal / depth
        gx, gy = scale * direction[row, 0], scale * direction[row, 1]
        gz = (gx * seen[i, 0] + gy * seen[i, 1]) / depth
        out = jacobian[row]
        _combine(
            out,
            line_modes[i, candidate[i]] if i < lines else modes[i],
            kind(gx * rotation[0, 0] + gy * rotation[1, 0] + gz * rotation[2, 0]),
            kind(gx * rotation[0, 1] + gy * rotation[1, 1] + gz * rotation[2, 1]),
            kind(gx * rotation[0, 2] + gy * rotation[1, 2] + gz * rotation[2, 2]),
            count,
        )
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        out[count] = y * gz - z * gy
        out[count + 1] = z * gx - x * gz
        out[count + 2] = x * gy - y * gx
        out[count + 3], out[count + 4], out[count + 5] = gx, gy, gz
    if loss.covariance.shape[0] > 0:
        _whiten_rows(work, count + POSE, kind(loss.unit))


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _whiten_rows(work: Work, width: int, unit: np.floating) -> None:
    """jacobian = unit L^-1 jacobian, row by row; dense points' rows stay as they are."""
    kind = work.jacobian.dtype.type
    for i in range(work.whitened):
        row = work.jacobian[i]
        inverse = kind(work.factor[i, i])
        for j in range(i):
            share = kind(work.factor[i, j]) / unit
            other = work.jacobian[j]
            for k in range(width):
                row[k] -= share * other[k]
        for k in range(width):
            row[k] *= inverse * unit


@njit(cache=True, boundscheck=False)
def choose_contour(
    points: PointModel,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> bool:
    """Move the jaw landmarks to the visible contour; True where one moved."""
    moved = False
    if points.line_mean.shape[1] == 0:
        return moved
    for line in range(len(work.candidate)):
        best = contour_candidate(points, line, x, rotation, translation)
        moved |= best != work.candidate[line]
        work.candidate[line] = best
    return moved


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _place_points(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    x: NDArray[np.floating],
    first: int,
    out: NDArray[np.float64],
) -> None:
    """out[i] = mean[i] + modes[i] x for landmarks from `first` on."""
    for i in range(first, len(mean)):
        a = b = c = modes.dtype.type(0.0)
        for k in range(len(x)):
            a += modes[i, 0, k] * x[k]
            b += modes[i, 1, k] * x[k]
            c += modes[i, 2, k] * x[k]
        out[i, 0], out[i, 1], out[i, 2] = mean[i, 0] + a, mean[i, 1] + b, mean[i, 2] + c


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _place_jaw(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    candidate: NDArray[np.int32],
    x: NDArray[np.floating],
    out: NDArray[np.float64],
) -> None:
    """The same for jaw landmarks, at their candidates on the jaw lines."""
    for i in range(len(candidate)):
        at = candidate[i]
        a = b = c = modes.dtype.type(0.0)
        for k in range(len(x)):
            a += modes[i, at, 0, k] * x[k]
            b += modes[i, at, 1, k] * x[k]
            c += modes[i, at, 2, k] * x[k]
        out[i, 0], out[i, 1] = mean[i, at, 0] + a, mean[i, at, 1] + b
        out[i, 2] = mean[i, at, 2] + c


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _move(
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    turned: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> None:
    """turned = R turned, in place, and seen = turned + t."""
    for i in range(len(turned)):
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        for a in range(3):
            turned[i, a] = rotation[a, 0] * x + rotation[a, 1] * y + rotation[a, 2] * z
            seen[i, a] = turned[i, a] + translation[a]


@njit(cache=True, boundscheck=False)
def place(
    points: PointModel,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> None:
    """Fill work.turned and work.seen."""
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    if lines:
        _place_jaw(points.line_mean, points.line_modes, work.candidate, x, work.turned)
    _place_points(points.mean, points.modes, x, lines, work.turned)
    _move(rotation, translation, work.turned, work.seen)


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
