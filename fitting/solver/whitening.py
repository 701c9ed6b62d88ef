"""Residuals of correlated landmarks made independent of each other (generalised least squares).

With S = U^T U the covariance of the rows, |U^-T r|^2 = r^T S^-1 r is the energy of normal errors
(Aitken 1936). An end point's rows are its coordinates, whose covariance is known before any fit. A
sliding landmark's row measures along the normal of its curve, which turns with the unknowns: given
the end points, only the conditional covariance of those rows has to be put together and factored
for each evaluation (block Cholesky; Golub and Van Loan, Matrix computations, section 4.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from .linear_algebra import (
    SUMS,
    cholesky,
    copy_row,
    eliminate_rows,
    padded,
    solve_lower,
    solve_upper,
    stride,
)

Floats = NDArray[np.float64]

# Keeps the covariance of the landmarks definite.
LEAST_VARIANCE = 1e-12


class Whitening(NamedTuple):
    """A detector's covariance C, cut into what stays the same and what turns with the curves.

    Coordinates of end points (E of them) come first, then those of the s sliding landmarks. There
    is a slot for each range of yaw, and a last one for a frame that lacks an end point.

    Attributes
    ----------
    covariance : (b, E + 2 s, E + 2 s) float64, C in squares of `unit`; b = 0: nothing is whitened
    ends : (b + 1, E padded, stride) float64, U_ee with C_ee = U_ee^T U_ee, as `cholesky` leaves it
    coupling : (b + 1, 2, E, s) float64, G = U_ee^-T C_es, for x and y of the sliding landmarks
    conditional : (b + 1, 2, 2, s, s padded) float64, C_ss - G^T G, for pairs of x and y
    slot : (1,) int64, the frame's; -1 before the first
    along : (2, s padded) float64, the directions of sliding rows; 0 where one is missing
    sliding : (s padded, stride) float64, the factor of the sliding rows, given the end points
    factor : (E + s padded, stride) float64, U of the rows' covariance S, after `whiten`
    row_factor : the same of the type of the Jacobian
    """

    covariance: Floats
    ends: Floats
    coupling: Floats
    conditional: Floats
    slot: NDArray[np.int64]
    along: Floats
    sliding: Floats
    factor: Floats
    row_factor: NDArray[np.floating]


def new_whitening(
    slides: NDArray[np.bool_], covariance: Floats, unit: float, dtype: DTypeLike
) -> Whitening:
    """Cut covariances for landmarks of which some slide.

    Parameters
    ----------
    slides : (68,) bool, which landmarks are compared with a curve
    covariance : (b, 136, 136) float64 of (x0, y0, x1, ...), y up; (0, 0, 0) for none
    unit : the error that counts as much as a whitened residual of that size
    dtype : of the Jacobian that is whitened

    Returns
    -------
    Whitening
    """
    ranges = len(covariance)
    sliding = int(slides.sum()) if ranges else 0
    ends = 2 * int((~slides).sum()) if ranges else 0
    order = np.argsort(slides, kind="stable")
    places = np.stack([2 * order, 2 * order + 1], 1).reshape(-1)
    slots, rows, side = ranges + 1, ends + sliding, int(padded(sliding))
    # Beyond the rows the factor is the identity: what lies behind them in a tile stays as it is.
    factor = np.eye(int(padded(rows)), stride(rows))
    made = Whitening(
        covariance=np.ascontiguousarray(covariance[:, places[:, None], places]) / unit**2
        if ranges
        else np.empty((0, 0, 0)),
        ends=np.tile(np.eye(int(padded(ends)), stride(ends)), (slots, 1, 1)),
        coupling=np.zeros((slots, 2, ends, sliding)),
        conditional=np.zeros((slots, 2, 2, sliding, side)),
        slot=np.full(1, -1, np.int64),
        along=np.zeros((2, side)),
        sliding=np.eye(side, stride(sliding)),
        factor=factor,
        row_factor=factor.astype(dtype),
    )
    every = np.ones(ends, np.bool_)
    for slot in range(ranges):
        _cut(made, made.covariance[slot], slot, every)
    return made


@njit(cache=True, boundscheck=False)
def _cut(whitening: Whitening, covariance: Floats, slot: int, here: NDArray[np.bool_]) -> None:
    """Fill a slot; here: (E,), which coordinates of end points were seen. The others are alone."""
    ends, conditional = whitening.ends[slot], whitening.conditional[slot]
    coupling, column = whitening.coupling[slot], np.zeros(padded(len(here)))
    count = len(here)
    for i in range(count):
        for j in range(i, count):
            seen = here[i] and here[j]
            ends[i, j] = covariance[i, j] if seen else 0.0
        ends[i, i] += LEAST_VARIANCE if here[i] else 1.0
    cholesky(ends, count, count)
    sliding = coupling.shape[2]
    for i in range(2 * sliding):
        for j in range(count):
            column[j] = covariance[count + i, j] if here[j] else 0.0
        solve_lower(ends, count, count, column)
        for j in range(count):
            coupling[i % 2, j, i // 2] = column[j]
    for i in range(2 * sliding):
        for j in range(2 * sliding):
            value = covariance[count + i, count + j]
            for k in range(count):
                value -= coupling[i % 2, k, i // 2] * coupling[j % 2, k, j // 2]
            conditional[i % 2, j % 2, i // 2, j // 2] = value


@njit(cache=True, boundscheck=False)
def choose_slot(
    whitening: Whitening, yaw_range: int, root_weight: Floats, curve_of: NDArray[np.int32]
) -> None:
    """Choose a frame's covariance, once a frame.

    Parameters
    ----------
    whitening : filled: slot, the factor of the end points, and the last slot where the frame lacks
        one
    yaw_range : of the frame
    root_weight : (p,) float64, 0 where a landmark is missing
    curve_of : (p,) int32, -1 for end points
    """
    ranges = len(whitening.covariance)
    if ranges == 0:
        return
    here = np.ones(whitening.coupling.shape[2], np.bool_)
    whole, at, landmark = True, 0, 0
    while at < len(here):
        if curve_of[landmark] < 0:
            seen = root_weight[landmark] > 0.0
            here[at], here[at + 1] = seen, seen
            whole &= seen
            at += 2
        landmark += 1
    if not whole:
        _cut(whitening, whitening.covariance[yaw_range], ranges, here)
    slot = yaw_range if whole else ranges
    if whole and slot == whitening.slot[0]:
        return
    whitening.slot[0] = slot
    for i in range(len(here)):
        copy_row(whitening.ends[slot, i, i : len(here)], whitening.factor[i, i : len(here)])
        copy_row(whitening.ends[slot, i, i : len(here)], whitening.row_factor[i, i : len(here)])


@njit(cache=True, boundscheck=False)
def whiten(whitening: Whitening, direction: Floats, row_weight: Floats, value: Floats) -> bool:
    """value = U^-T value, for the rows of landmarks.

    A sliding row k measures along d_k, so that its covariance with the end points is C_es d_k, of
    which U has the column G d_k; given the end points, S_kj = d_k^T (C_ss - G^T G)_kj d_j is left,
    which is factored. A missing landmark's row is independent of all others.

    Parameters
    ----------
    whitening : after `choose_slot`; filled: factor
    direction : (m, 2) float64, along which a row measures
    row_weight : (m,) float64, 0 where a landmark is missing
    value : (>= m padded,) float64, residuals, the first m of which are overwritten

    Returns
    -------
    bool
        False where the covariance is not positive definite
    """
    ends, count = whitening.coupling.shape[2:]
    along = whitening.along
    for k in range(count):
        here = row_weight[ends + k] > 0.0
        for axis in range(2):
            along[axis, k] = direction[ends + k, axis] if here else 0.0
    _fill_coupled(whitening.coupling[whitening.slot[0]], along, whitening.factor)
    sliding, factor = whitening.sliding, whitening.factor
    _fill_sliding(whitening.conditional[whitening.slot[0]], along, sliding)
    for k in range(count):
        sliding[k, k] += LEAST_VARIANCE if row_weight[ends + k] > 0.0 else 1.0
    if not cholesky(sliding, count, count):
        return False
    for k in range(count):
        copy_row(sliding[k, k:count], factor[ends + k, ends + k : ends + count])
    solve_lower(factor, ends + count, ends + count, value)
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _fill_coupled(coupling: Floats, along: Floats, factor: Floats) -> None:
    """factor[i, E + k] = G_ik d_k."""
    ends, count = coupling.shape[1:]
    for i in range(ends):
        row = factor[i, ends:]
        for k in range(count):
            row[k] = coupling[0, i, k] * along[0, k] + coupling[1, i, k] * along[1, k]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _fill_sliding(conditional: Floats, along: Floats, out: Floats) -> None:
    """out[k, j] = d_k^T conditional_kj d_j; whole rows, which costs less than half of them."""
    for k in range(conditional.shape[2]):
        x, y = along[0, k], along[1, k]
        for j in range(along.shape[1]):
            out[k, j] = (x * conditional[0, 0, k, j] + y * conditional[1, 0, k, j]) * along[
                0, j
            ] + (x * conditional[0, 1, k, j] + y * conditional[1, 1, k, j]) * along[1, j]


@njit(cache=True, boundscheck=False)
def whitened_pull(whitening: Whitening, pull: Floats) -> None:
    """pull = U^-1 pull, for the rows of landmarks.

    Parameters
    ----------
    whitening : after `whiten`
    pull : (>= m padded,) float64, whitened residuals, overwritten by what pulls at them
    """
    ends, count = whitening.coupling.shape[2:]
    solve_upper(whitening.factor, ends + count, ends + count, pull)


@njit(cache=True, boundscheck=False)
def whiten_rows(whitening: Whitening, jacobian: NDArray[np.floating], width: int) -> None:
    """jacobian = U^-T jacobian for the rows of landmarks.

    Parameters
    ----------
    whitening : after `whiten`
    jacobian : (>= m padded, >= width padded), overwritten
    width : columns that count
    """
    factor, copy = whitening.factor, whitening.row_factor
    ends, count = whitening.coupling.shape[2:]
    rows = ends + count
    for i in range(rows):
        copy_row(factor[i, max(i, ends) : rows], copy[i, max(i, ends) : rows])
    eliminate_rows(copy, rows, jacobian, width)
