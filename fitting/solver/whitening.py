"""Residuals of correlated landmarks made independent of each other (generalised least squares).

With S = L L^T the covariance of the rows, |unit L^-1 r|^2 = unit^2 r^T S^-1 r is the energy of
normal errors, in units of `unit` (Aitken 1936). An end point's rows are its coordinates, whose
covariance is known before any fit. A sliding landmark's row measures along the normal of its curve,
which turns with the unknowns: given the end points, only the conditional covariance of those rows
has to be put together and factored for each evaluation (block Cholesky; Golub and Van Loan, Matrix
computations, section 4.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import SUMS, cholesky, padded, solve_lower, solve_upper

Floats = NDArray[np.float64]

# Keeps the covariance of the landmarks definite.
LEAST_VARIANCE = 1e-12


class Whitening(NamedTuple):
    """A detector's covariance C, cut into what stays the same and what turns with the curves.

    Coordinates of end points (E of them) come first, then those of the s sliding landmarks. There
    is a slot for each range of yaw, and a last one for a frame that lacks an end point.

    Attributes
    ----------
    covariance : (b, E + 2 s, E + 2 s) float64, C; b = 0 where nothing is whitened
    ends : (b + 1, E padded, E padded) float64, L with L L^T = C_ee, as `cholesky` leaves it
    coupling : (b + 1, 2 s, E) float64, G = C_se L^-T
    conditional : (b + 1, 2 s, 2 s) float64, C_ss - G G^T
    slot : (1,) int64, the frame's
    sliding : (s padded, s padded) float64, the factor of the sliding rows, given the end points
    rest : (s,) float64, work
    tile : (4, 4) float64, work
    """

    covariance: Floats
    ends: Floats
    coupling: Floats
    conditional: Floats
    slot: NDArray[np.int64]
    sliding: Floats
    rest: Floats
    tile: Floats


def new_whitening(slides: NDArray[np.bool_], covariance: Floats) -> Whitening:
    """Cut covariances for landmarks of which some slide.

    Parameters
    ----------
    slides : (68,) bool, which landmarks are compared with a curve
    covariance : (b, 136, 136) float64 of (x0, y0, x1, ...), y up; (0, 0, 0) for none

    Returns
    -------
    Whitening
    """
    ranges = len(covariance)
    sliding = int(slides.sum()) if ranges else 0
    ends = 2 * int((~slides).sum()) if ranges else 0
    order = np.argsort(slides, kind="stable")
    places = np.stack([2 * order, 2 * order + 1], 1).reshape(-1)
    side, slots = int(padded(ends)), ranges + 1
    made = Whitening(
        covariance=np.ascontiguousarray(covariance[:, places[:, None], places])
        if ranges
        else np.empty((0, 0, 0)),
        ends=np.zeros((slots, side, side)),
        coupling=np.zeros((slots, 2 * sliding, ends)),
        conditional=np.zeros((slots, 2 * sliding, 2 * sliding)),
        slot=np.zeros(1, np.int64),
        sliding=np.zeros((int(padded(sliding)), int(padded(sliding)))),
        rest=np.zeros(sliding),
        tile=np.zeros((4, 4)),
    )
    every = np.ones(ends, np.bool_)
    for slot in range(ranges):
        _cut(made, made.covariance[slot], slot, every)
    return made


@njit(cache=True, boundscheck=False)
def _cut(whitening: Whitening, covariance: Floats, slot: int, here: NDArray[np.bool_]) -> None:
    """Fill a slot; here: (E,), which coordinates of end points were seen. The others are alone."""
    ends, coupling = whitening.ends[slot], whitening.coupling[slot]
    conditional = whitening.conditional[slot]
    count = len(here)
    for i in range(count):
        for j in range(i + 1):
            seen = here[i] and here[j]
            ends[i, j] = covariance[i, j] if seen else 0.0
        ends[i, i] += LEAST_VARIANCE if here[i] else 1.0
    cholesky(ends, count, count, whitening.tile)
    for i in range(len(coupling)):
        for j in range(count):
            coupling[i, j] = covariance[count + i, j] if here[j] else 0.0
        solve_lower(ends, count, coupling[i])
    for i in range(len(coupling)):
        for j in range(i + 1):
            value = covariance[count + i, count + j]
            for k in range(count):
                value -= coupling[i, k] * coupling[j, k]
            conditional[i, j] = value
            conditional[j, i] = value


@njit(cache=True, boundscheck=False)
def choose_slot(
    whitening: Whitening, yaw_range: int, root_weight: Floats, curve_of: NDArray[np.int32]
) -> None:
    """Choose a frame's covariance, once a frame.

    Parameters
    ----------
    whitening : filled: slot, and the last slot where the frame lacks an end point
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
    whitening.slot[0] = yaw_range if whole else ranges
    if not whole:
        _cut(whitening, whitening.covariance[yaw_range], ranges, here)


@njit(cache=True, boundscheck=False)
def whiten(
    whitening: Whitening, direction: Floats, row_weight: Floats, value: Floats, unit: float
) -> bool:
    """value = unit L^-1 value, for the rows of landmarks.

    With v_1 = L_11^-1 r_1 for end points, a sliding row i along d_i has L_21 v_1 = d_i . G v_1, and
    S_ij = d_i^T (C_ss - G G^T)_ij d_j given the end points. A missing landmark's row is independent
    of all others.

    Parameters
    ----------
    whitening : after `choose_slot`; filled: sliding
    direction : (m, 2) float64, along which a row measures
    row_weight : (m,) float64, 0 where a landmark is missing
    value : (m,) float64, residuals, overwritten
    unit : the error that counts as much as a whitened residual of that size

    Returns
    -------
    bool
        False where the covariance is not positive definite
    """
    slot = whitening.slot[0]
    coupling, conditional = whitening.coupling[slot], whitening.conditional[slot]
    factor, rest = whitening.sliding, whitening.rest
    ends, count = coupling.shape[1], len(rest)
    solve_lower(whitening.ends[slot], ends, value)
    for k in range(count):
        row = ends + k
        a0, a1 = direction[row, 0], direction[row, 1]
        here = row_weight[row] > 0.0
        rest[k] = value[row] - _coupled(coupling, 2 * k, a0, a1, value) if here else value[row]
        for j in range(k + 1):
            other = ends + j
            factor[k, j] = 0.0
            if here and row_weight[other] > 0.0:
                b0, b1 = direction[other, 0], direction[other, 1]
                factor[k, j] = a0 * (
                    conditional[2 * k, 2 * j] * b0 + conditional[2 * k, 2 * j + 1] * b1
                ) + a1 * (
                    conditional[2 * k + 1, 2 * j] * b0 + conditional[2 * k + 1, 2 * j + 1] * b1
                )
        factor[k, k] += LEAST_VARIANCE if here else 1.0
    if not cholesky(factor, count, count, whitening.tile):
        return False
    solve_lower(factor, count, rest)
    for i in range(ends):
        value[i] *= unit
    for k in range(count):
        value[ends + k] = unit * rest[k]
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _coupled(coupling: Floats, row: int, a0: float, a1: float, vector: Floats) -> float:
    """(a0 coupling[row] + a1 coupling[row + 1]) . vector."""
    total = 0.0
    for k in range(coupling.shape[1]):
        total += (a0 * coupling[row, k] + a1 * coupling[row + 1, k]) * vector[k]
    return total


@njit(cache=True, boundscheck=False)
def whitened_pull(
    whitening: Whitening, direction: Floats, row_weight: Floats, unit: float, pull: Floats
) -> None:
    """pull = unit L^-T pull, for the rows of landmarks.

    Parameters
    ----------
    whitening : after `whiten`
    direction, row_weight, unit : as there
    pull : (m,) float64, whitened residuals, overwritten by what pulls at them
    """
    slot = whitening.slot[0]
    coupling, rest = whitening.coupling[slot], whitening.rest
    ends, count = coupling.shape[1], len(rest)
    for k in range(count):
        rest[k] = unit * pull[ends + k]
    solve_upper(whitening.sliding, count, rest)
    for i in range(ends):
        pull[i] *= unit
    for k in range(count):
        row = ends + k
        pull[row] = rest[k]
        if row_weight[row] > 0.0:
            a0, a1 = rest[k] * direction[row, 0], rest[k] * direction[row, 1]
            for i in range(ends):
                pull[i] -= a0 * coupling[2 * k, i] + a1 * coupling[2 * k + 1, i]
    solve_upper(whitening.ends[slot], ends, pull)


@njit(cache=True, boundscheck=False)
def whiten_rows(
    whitening: Whitening,
    direction: Floats,
    row_weight: Floats,
    unit: float,
    jacobian: NDArray[np.floating],
    width: int,
) -> None:
    """jacobian = unit L^-1 jacobian for the rows of landmarks, by forward substitution.

    row_i = (row_i - sum_j L_ij row_j) / L_ii, all columns at once; the factor `unit` comes last.

    Parameters
    ----------
    whitening : after `whiten`
    direction, row_weight, unit : as there
    jacobian : (>= m, >= width), overwritten
    width : columns that count
    """
    slot = whitening.slot[0]
    coupling = whitening.coupling[slot]
    ends, count = coupling.shape[1], len(whitening.rest)
    first, both = whitening.ends[slot], np.empty(ends)
    for i in range(ends):
        _substitute(jacobian, i, 0, i, first[i], width)
        _scale(jacobian, i, first[i, i], width)
    for k in range(count):
        row = ends + k
        if row_weight[row] > 0.0:
            a0, a1 = direction[row, 0], direction[row, 1]
            for i in range(ends):
                both[i] = a0 * coupling[2 * k, i] + a1 * coupling[2 * k + 1, i]
            _substitute(jacobian, row, 0, ends, both, width)
            _substitute(jacobian, row, ends, k, whitening.sliding[k], width)
        _scale(jacobian, row, whitening.sliding[k, k], width)
    for row in range(ends + count):
        _scale(jacobian, row, unit, width)


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _substitute(
    rows: NDArray[np.floating], row: int, start: int, count: int, factor: Floats, width: int
) -> None:
    """rows[row] -= sum_j factor[j] rows[start + j], eight rows at a time."""
    out, kind, j = rows[row], rows.dtype.type, 0
    while j + 8 <= count:
        a0, a1 = kind(factor[j]), kind(factor[j + 1])
        a2, a3 = kind(factor[j + 2]), kind(factor[j + 3])
        a4, a5 = kind(factor[j + 4]), kind(factor[j + 5])
        a6, a7 = kind(factor[j + 6]), kind(factor[j + 7])
        at = start + j
        b0, b1, b2, b3 = rows[at], rows[at + 1], rows[at + 2], rows[at + 3]
        b4, b5, b6, b7 = rows[at + 4], rows[at + 5], rows[at + 6], rows[at + 7]
        for k in range(width):
            out[k] -= (a0 * b0[k] + a1 * b1[k] + a2 * b2[k] + a3 * b3[k]) + (
                a4 * b4[k] + a5 * b5[k] + a6 * b6[k] + a7 * b7[k]
            )
        j += 8
    while j < count:
        a, b = kind(factor[j]), rows[start + j]
        for k in range(width):
            out[k] -= a * b[k]
        j += 1


@njit(cache=True, boundscheck=False)
def _scale(rows: NDArray[np.floating], row: int, factor: float, width: int) -> None:
    """rows[row] *= factor."""
    out, kind = rows[row], rows.dtype.type
    share = kind(factor)
    for k in range(width):
        out[k] *= share
