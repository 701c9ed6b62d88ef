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

from .curves import SEGMENT, curve_table, cut_curve, nearest_on
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
    their lines. factor: (m, m) or (0, 0). segments: (curves, k, 7) and segment_count: (curves,),
    the detected curves as `curves.cut_curve` leaves them.
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
    segments: NDArray[np.float64]
    segment_count: NDArray[np.int32]


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
        factor=np.zeros((whitened, whitened)),
        segments=np.zeros((*scheme.nodes.shape, SEGMENT)),
        segment_count=np.zeros(len(scheme.nodes), np.int32),
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
    for i in range(first, COUNT):
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
    for i in range(COUNT):
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        for a in range(3):
            turned[i, a] = rotation[a, 0] * x + rotation[a, 1] * y + rotation[a, 2] * z
            seen[i, a] = turned[i, a] + translation[a]


@njit(cache=True, boundscheck=False)
def _place(
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
    # Fields are taken out of their tuples once: each access inside the loop would count references.
    seen, value, row_weight = work.seen, work.value, work.row_weight
    landmark, direction, distance = work.landmark, work.direction, work.distance
    segments, segment_count, curve_of = work.segments, work.segment_count, scheme.curve_of
    target, root_weight, focal = frame.target, frame.root_weight, frame.focal
    kind, scale = loss.kind, loss.scale
    row, energy = 0, 0.0
    for i in range(COUNT):
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
        return _whiten(loss, work)
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
    """jacobian = unit L^-1 jacobian, row by row."""
    kind = work.jacobian.dtype.type
    for i in range(len(work.value)):
        row = work.jacobian[i]
        inverse = kind(work.factor[i, i])
        for j in range(i):
            share = kind(work.factor[i, j]) / unit
            other = work.jacobian[j]
            for k in range(width):
                row[k] -= share * other[k]
        for k in range(width):
            row[k] *= inverse * unit
