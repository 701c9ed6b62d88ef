"""Residuals of one frame and their Jacobian: the data term of Eq. 3, in Numba.

A frame lives in normalised image coordinates: principal point at 0, y up, the inter-ocular
distance as unit, so that weights mean the same at any resolution. An end point has two residuals
(x, y), a sliding point one, its signed distance from the detected curve. Unknowns are K
coefficients, a rotation update multiplied from the left, and the translation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .curves import curve_table, signed_distance
from .dense_kernels import SUMS, cholesky, padded, solve_lower
from .landmark_scheme import COUNT
from .point_model import PointModel, contour_candidate

POSE = 6
PLAIN, HUBER, GEMAN_MCCLURE = 0, 1, 2


class Frame(NamedTuple):
    """What was detected in one frame, normalised.

    target: (68, 2) float64, NaN where missing. root_weight: (68,) float64, square roots of the
    confidences, 0 where missing. focal: focal length over the inter-ocular distance.
    """

    target: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    focal: float


class Scheme(NamedTuple):
    """How landmarks become residuals.

    curve_of: (68,) int32, the curve that a landmark slides on, -1 for an end point. nodes:
    (curves, k) int32. rows: number of data residuals.
    """

    curve_of: NDArray[np.int32]
    nodes: NDArray[np.int32]
    rows: int


class Loss(NamedTuple):
    """How residuals are weighed.

    kind: PLAIN, HUBER or GEMAN_MCCLURE with its scale, in inter-ocular distances. covariance:
    (136, 136) float64 of the landmarks' errors (x0, y0, x1, ...), squared inter-ocular distances,
    (0, 0) for none. unit: the error that counts as much as a whitened residual of that size.
    """

    kind: int
    scale: float
    covariance: NDArray[np.float64]
    unit: float


class Work(NamedTuple):
    """Arrays of one frame's residuals, allocated once. m data rows, n = K + 6 unknowns.

    turned, seen: (68, 3), R X and R X + t. direction: (m, 2) and landmark: (m,), what each row
    measures; row_weight: (m,). distance: (68,) D of each landmark, not weighed. value: (m,)
    residuals; jacobian: (padded m, n padded to 8). candidate: (17,) places of the jaw landmarks on
    their lines. factor: (m, m) or (0, 0).
    """

    turned: NDArray[np.float64]
    seen: NDArray[np.float64]
    direction: NDArray[np.float64]
    landmark: NDArray[np.int32]
    row_weight: NDArray[np.float64]
    distance: NDArray[np.float64]
    value: NDArray[np.float64]
    jacobian: NDArray[np.floating]
    candidate: NDArray[np.int32]
    factor: NDArray[np.float64]


def new_scheme(*, curves: bool = True) -> Scheme:
    """The 68 landmarks' residuals; without curves every landmark is an end point."""
    curve_of, nodes = curve_table()
    if not curves:
        curve_of[:] = -1
    return Scheme(curve_of, nodes, int(COUNT + (curve_of < 0).sum()))


def plain_loss() -> Loss:
    """Least squares of unit weight, as in Eq. 3."""
    return Loss(PLAIN, 1.0, np.empty((0, 0)), 1.0)


def new_work(points: PointModel, scheme: Scheme, loss: Loss) -> Work:
    """Arrays for a model, scheme and loss; the Jacobian has the type of the model's modes."""
    rows = scheme.rows
    whitened = padded(rows) if loss.covariance.size else 0
    width = (points.coefficients + POSE + 7) // 8 * 8
    return Work(
        turned=np.empty((COUNT, 3)),
        seen=np.empty((COUNT, 3)),
        direction=np.empty((rows, 2)),
        landmark=np.empty(rows, np.int32),
        row_weight=np.empty(rows),
        distance=np.zeros(COUNT),
        value=np.zeros(rows),
        jacobian=np.zeros((padded(rows), width), points.modes.dtype),
        candidate=points.line_last.copy(),
        factor=np.empty((whitened, whitened)),
    )


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
def _coordinate(
    start: float, mode: NDArray[np.floating], x: NDArray[np.floating], zero: np.floating
) -> float:
    total = zero
    for k in range(len(x)):
        total += mode[k] * x[k]
    return float(start + total)


@njit(cache=True, boundscheck=False)
def _place(
    points: PointModel,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> None:
    """Fill work.turned and work.seen."""
    zero = points.modes.dtype.type(0.0)
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    place = np.empty(3)
    for i in range(COUNT):
        for c in range(3):
            if i < lines:
                at = work.candidate[i]
                start, mode = points.line_mean[i, at, c], points.line_modes[i, at, c]
            else:
                start, mode = points.mean[i, c], points.modes[i, c]
            place[c] = _coordinate(start, mode, x, zero)
        for a in range(3):
            work.turned[i, a] = (
                rotation[a, 0] * place[0] + rotation[a, 1] * place[1] + rotation[a, 2] * place[2]
            )
            work.seen[i, a] = work.turned[i, a] + translation[a]


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
    _place(points, x, rotation, translation, work)
    row, energy = 0, 0.0
    for i in range(COUNT):
        depth = -work.seen[i, 2]
        if not depth > 1e-3:
            return np.inf
        u = frame.focal * work.seen[i, 0] / depth
        v = frame.focal * work.seen[i, 1] / depth
        first = row
        curve = scheme.curve_of[i]
        weight = frame.root_weight[i]
        if curve >= 0:
            distance, gx, gy = signed_distance(u, v, frame.target, scheme.nodes[curve])
            _set_row(work, row, i, gx, gy, distance if weight > 0.0 else 0.0)
            row += 1
        else:
            du, dv = u - frame.target[i, 0], v - frame.target[i, 1]
            _set_row(work, row, i, 1.0, 0.0, du if weight > 0.0 else 0.0)
            _set_row(work, row + 1, i, 0.0, 1.0, dv if weight > 0.0 else 0.0)
            row += 2
        work.distance[i] = _length(work.value, first, row)
        energy += _weigh(loss, weight, first, row, work)
    if loss.covariance.shape[0] > 0:
        return _whiten(loss, work)
    return energy


@njit(cache=True, boundscheck=False)
def _set_row(work: Work, row: int, landmark: int, gx: float, gy: float, value: float) -> None:
    work.landmark[row] = landmark
    work.direction[row, 0] = gx
    work.direction[row, 1] = gy
    work.value[row] = value


@njit(cache=True, boundscheck=False)
def _length(value: NDArray[np.float64], first: int, stop: int) -> float:
    square = 0.0
    for row in range(first, stop):
        square += value[row] ** 2
    return float(np.sqrt(square))


@njit(cache=True, boundscheck=False)
def _weigh(loss: Loss, weight: float, first: int, stop: int, work: Work) -> float:
    """Scale the rows of one landmark by its confidence and the robust loss; its energy.

    Rows are scaled so that the gradient of the energy is 2 J^T r (iteratively reweighted).
    """
    square = 0.0
    for row in range(first, stop):
        work.value[row] *= weight
        square += work.value[row] ** 2
    energy, factor = square, 1.0
    if loss.kind == HUBER and square > loss.scale**2:
        size = np.sqrt(square)
        energy, factor = loss.scale * (2.0 * size - loss.scale), loss.scale / size
    elif loss.kind == GEMAN_MCCLURE:
        share = loss.scale**2 / (loss.scale**2 + square)
        energy, factor = square * share, share * share
    root = np.sqrt(factor)
    for row in range(first, stop):
        work.value[row] *= root
        work.row_weight[row] = weight * root
    return energy


@njit(cache=True, boundscheck=False)
def _whiten(loss: Loss, work: Work) -> float:
    """Whiten the residuals by the covariance of what each row measures; the energy."""
    rows = len(work.value)
    factor, tile = work.factor, np.empty((4, 4))
    for i in range(rows):
        p, here = 2 * work.landmark[i], work.row_weight[i] > 0.0
        a0, a1 = work.direction[i]
        for j in range(i + 1):
            factor[i, j] = 0.0
            if here and work.row_weight[j] > 0.0:
                q = 2 * work.landmark[j]
                b0, b1 = work.direction[j]
                c = loss.covariance
                factor[i, j] = a0 * (c[p, q] * b0 + c[p, q + 1] * b1) + a1 * (
                    c[p + 1, q] * b0 + c[p + 1, q + 1] * b1
                )
        factor[i, i] += 1e-12 if here else 1.0
    if not cholesky(factor, rows, rows, tile):
        return np.inf
    solve_lower(factor, rows, work.value)
    energy = 0.0
    for i in range(rows):
        work.value[i] *= loss.unit
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
    kind = points.modes.dtype.type
    for row in range(len(work.value)):
        i = work.landmark[row]
        out = work.jacobian[row]
        depth = -work.seen[i, 2]
        scale = work.row_weight[row] * frame.focal / depth
        gx, gy = scale * work.direction[row, 0], scale * work.direction[row, 1]
        gz = (gx * work.seen[i, 0] + gy * work.seen[i, 1]) / depth
        modes = points.line_modes[i, work.candidate[i]] if i < lines else points.modes[i]
        _combine(
            out,
            modes,
            kind(gx * rotation[0, 0] + gy * rotation[1, 0] + gz * rotation[2, 0]),
            kind(gx * rotation[0, 1] + gy * rotation[1, 1] + gz * rotation[2, 1]),
            kind(gx * rotation[0, 2] + gy * rotation[1, 2] + gz * rotation[2, 2]),
            count,
        )
        x, y, z = work.turned[i]
        out[count] = y * gz - z * gy
        out[count + 1] = z * gx - x * gz
        out[count + 2] = x * gy - y * gx
        out[count + 3], out[count + 4], out[count + 5] = gx, gy, gz
    if loss.covariance.shape[0] > 0:
        _whiten_rows(work, count + POSE, kind(loss.unit))


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _whiten_rows(work: Work, width: int, unit: np.floating) -> None:
    """jacobian = unit L^-1 jacobian, row by row."""
    kind = work.jacobian.dtype.type
    for i in range(len(work.value)):
        row = work.jacobian[i]
        inverse = kind(1.0 / work.factor[i, i])
        for j in range(i):
            share = kind(work.factor[i, j]) / unit
            other = work.jacobian[j]
            for k in range(width):
                row[k] -= share * other[k]
        for k in range(width):
            row[k] *= inverse * unit
