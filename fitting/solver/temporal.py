"""Temporal smoothness of f_exp over a sequence, in closed form.

To each frame's energy, quadratic around its own fit, comes ``weight |x_t - x_(t-1)|^2`` for frames
that follow each other. The minimum within the bounds is found by projected Newton steps (Bertsekas,
Projected Newton methods for optimization problems with simple constraints, 1982), each a
block-tridiagonal Cholesky factorisation over the sequence (Golub and Van Loan, Matrix computations,
section 4.5): exact, both ways in time, without lag.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import SUMS, cholesky, padded, solve_lower, solve_upper

Floats = NDArray[np.float64]
ITERATIONS = 40
TOLERANCE = 1e-7  # relative decrease of the energy that is held to be none


def smooth(
    x: Floats,
    gradient: Floats,
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
    bounds: tuple[Floats, Floats],
) -> Floats:
    """Minimise the frames' quadratic energies with the temporal term, within bounds.

    Parameters
    ----------
    x : (n, e) float64, each frame's own solution
    gradient : (n, e) float64, half the gradient of its energy there (not zero at a bound)
    hessian : (n, e, e) float, half its Hessian, lower triangle
    linked : (n,) bool, whether a frame follows the one before it
    weight : of |x_t - x_(t-1)|^2
    bounds : lower and upper, (e,) float64 each

    Returns
    -------
    (n, e) float64
    """
    lower, upper = bounds
    current = np.clip(x, lower, upper)
    energy = _energy(current, x, gradient, hessian, linked, weight)
    for _ in range(ITERATIONS):
        # Unknowns at a bound whose slope pushes them against it stay. The others take a Newton
        # step, halved until the energy falls, since cutting it to the bounds changes its direction.
        slope = _slope(current, x, gradient, hessian, linked, weight)
        free = ~(((current <= lower) & (slope > 0)) | ((current >= upper) & (slope < 0)))
        step = _block_solve(hessian, linked, weight, free, -slope)
        for halvings in range(12):
            trial = np.clip(current + step * 0.5**halvings, lower, upper)
            reached = _energy(trial, x, gradient, hessian, linked, weight)
            if reached < energy:
                break
        else:
            return current
        gain, energy, current = energy - reached, reached, trial
        if gain <= TOLERANCE * (abs(energy) + 1e-12):
            return current
    return current


@njit(cache=True, boundscheck=False)
def _times(hessian: NDArray[np.floating], apart: Floats, out: Floats) -> None:
    """out = hessian apart, from the lower triangle."""
    size = len(apart)
    out[:] = 0.0
    for i in range(size):
        for j in range(i):
            out[i] += hessian[i, j] * apart[j]
            out[j] += hessian[i, j] * apart[i]
        out[i] += hessian[i, i] * apart[i]


@njit(cache=True, boundscheck=False)
def _energy(
    current: Floats,
    x: Floats,
    gradient: Floats,
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
) -> float:
    """Energy of the sequence, less the frames' own minima."""
    total = 0.0
    product = np.empty(x.shape[1])
    for t in range(len(x)):
        apart = current[t] - x[t]
        _times(hessian[t], apart, product)
        for k in range(len(apart)):
            total += apart[k] * (2.0 * gradient[t, k] + product[k])
            if linked[t]:
                total += weight * (current[t, k] - current[t - 1, k]) ** 2
    return float(total)


@njit(cache=True, boundscheck=False)
def _slope(
    current: Floats,
    x: Floats,
    gradient: Floats,
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
) -> Floats:
    """Half the gradient of the sequence's energy, (n, e)."""
    slope = gradient.copy()
    product = np.empty(x.shape[1])
    for t in range(len(x)):
        _times(hessian[t], current[t] - x[t], product)
        slope[t] += product
        if linked[t]:
            jump = weight * (current[t] - current[t - 1])
            slope[t] += jump
            slope[t - 1] -= jump
    return slope


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _invert(factor: Floats, size: int, column: Floats, out: Floats) -> None:
    """out = (L L^T)^-1 for the lower triangle L of factor."""
    for p in range(size):
        column[:] = 0.0
        column[p] = 1.0
        solve_lower(factor, size, column)
        solve_upper(factor, size, column)
        for q in range(size):
            out[q, p] = column[q]


@njit(cache=True, boundscheck=False)
def _block_solve(
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
    free: NDArray[np.bool_],
    rhs: Floats,
) -> Floats:
    """The Newton step over the free unknowns, 0 elsewhere, (n, e).

    The system's diagonal blocks are A_t = hessian_t + w times the number of neighbours, and beside
    them stands -w I. Forward: D_t = A_t - w^2 D_(t-1)^-1, y_t = b_t + w D_(t-1)^-1 y_(t-1).
    Backward: step_t = D_t^-1 (y_t + w step_(t+1)). Where a sequence begins, nothing is carried.
    """
    count, size = rhs.shape
    side = padded(size)
    factor, tile, column = np.zeros((side, side)), np.zeros((4, 4)), np.zeros(side)
    inverse = np.zeros((count, size, size))
    half = np.zeros((count, size))
    for t in range(count):
        follows = linked[t]
        neighbours = int(follows) + int(t + 1 < count and linked[t + 1])
        for i in range(size):
            for j in range(i + 1):
                value = 0.0
                if free[t, i] and free[t, j]:
                    value = float(hessian[t, i, j])
                    if follows and free[t - 1, i] and free[t - 1, j]:
                        value -= weight * weight * inverse[t - 1, i, j]
                factor[i, j] = value
            half[t, i] = rhs[t, i] if free[t, i] else 0.0
            if not free[t, i]:
                factor[i, i] = 1.0
                continue
            factor[i, i] += weight * neighbours
            if follows and free[t - 1, i]:
                for j in range(size):
                    half[t, i] += weight * inverse[t - 1, i, j] * half[t - 1, j]
        cholesky(factor, size, size, tile)
        _invert(factor, size, column, inverse[t])
    step = np.zeros((count, size))
    for t in range(count - 1, -1, -1):
        carried = half[t].copy()
        if t + 1 < count and linked[t + 1]:
            for i in range(size):
                if free[t, i] and free[t + 1, i]:
                    carried[i] += weight * step[t + 1, i]
        step[t] = inverse[t] @ carried
        for i in range(size):
            if not free[t, i]:
                step[t, i] = 0.0
    return step
