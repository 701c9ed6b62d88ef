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

from .linear_algebra import cholesky, inner_products, invert_transposed, padded

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
    current, product = np.clip(x, lower, upper), np.empty(x.shape[1])
    inverse = np.empty((*x.shape, x.shape[1]))
    energy = _energy(current, x, gradient, hessian, linked, weight, product)
    for _ in range(ITERATIONS):
        # Unknowns at a bound whose slope pushes them against it stay. The others take a Newton
        # step, halved until the energy falls, since cutting it to the bounds changes its direction.
        slope = np.zeros_like(x)
        _slope(current, x, gradient, hessian, linked, weight, product, slope)
        free = ~(((current <= lower) & (slope > 0)) | ((current >= upper) & (slope < 0)))
        step = np.zeros_like(x)
        _block_solve(hessian, linked, weight, free, -slope, inverse, step)
        for halvings in range(12):
            trial = np.clip(current + step * 0.5**halvings, lower, upper)
            reached = _energy(trial, x, gradient, hessian, linked, weight, product)
            if reached < energy:
                break
        else:
            return current
        gain, energy, current = energy - reached, reached, trial
        if gain <= TOLERANCE * (abs(energy) + 1e-12):
            return current
    return current


@njit(cache=True, boundscheck=False)
def _times(hessian: NDArray[np.floating], current: Floats, x: Floats, out: Floats) -> None:
    """out = hessian (current - x), from the lower triangle."""
    size = len(x)
    out[:] = 0.0
    for i in range(size):
        apart = current[i] - x[i]
        for j in range(i):
            out[i] += hessian[i, j] * (current[j] - x[j])
            out[j] += hessian[i, j] * apart
        out[i] += hessian[i, i] * apart


@njit(cache=True, boundscheck=False)
def _energy(
    current: Floats,
    x: Floats,
    gradient: Floats,
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
    product: Floats,
) -> float:
    """Energy of the sequence, less the frames' own minima; product : (e,), work."""
    total = 0.0
    for t in range(len(x)):
        _times(hessian[t], current[t], x[t], product)
        for k in range(len(product)):
            total += (current[t, k] - x[t, k]) * (2.0 * gradient[t, k] + product[k])
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
    product: Floats,
    slope: Floats,
) -> None:
    """Half the gradient of the sequence's energy, added to slope (n, e); product : (e,), work."""
    for t in range(len(x)):
        _times(hessian[t], current[t], x[t], product)
        for k in range(len(product)):
            slope[t, k] += gradient[t, k] + product[k]
            if linked[t]:
                jump = weight * (current[t, k] - current[t - 1, k])
                slope[t, k] += jump
                slope[t - 1, k] -= jump


@njit(cache=True, boundscheck=False)
def _block_solve(
    hessian: NDArray[np.floating],
    linked: NDArray[np.bool_],
    weight: float,
    free: NDArray[np.bool_],
    rhs: Floats,
    inverse: Floats,
    step: Floats,
) -> None:
    """Fill step (n, e) with the Newton step over the free unknowns, 0 elsewhere.

    The system's diagonal blocks are A_t = hessian_t + w times the number of neighbours, and beside
    them stands -w I. Forward: D_t = A_t - w^2 D_(t-1)^-1, y_t = b_t + w D_(t-1)^-1 y_(t-1).
    Backward: step_t = D_t^-1 (y_t + w step_(t+1)). Where a sequence begins, nothing is carried. y
    takes the place of b in rhs, and D^-1 is left in inverse (n, e, e).
    """
    count, size = rhs.shape
    side = padded(size)
    factor, half, whole = np.eye(side), np.empty((side, side)), np.empty((side, side))
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
                factor[j, i] = value
            if not free[t, i]:
                rhs[t, i] = 0.0
                factor[i, i] = 1.0
                continue
            factor[i, i] += weight * neighbours
            if follows and free[t - 1, i]:
                for j in range(size):
                    rhs[t, i] += weight * inverse[t - 1, i, j] * rhs[t - 1, j]
        # A frame without a solution, and with no frame beside it, asks for nothing, and stays.
        whole[:] = 0.0
        if cholesky(factor, size, size):
            invert_transposed(factor, size, half)
            inner_products(half, size, size, whole)
        for i in range(size):
            for j in range(i, size):
                inverse[t, i, j] = whole[i, j]
                inverse[t, j, i] = whole[i, j]
    for t in range(count - 1, -1, -1):
        if t + 1 < count and linked[t + 1]:
            for i in range(size):
                if free[t, i] and free[t + 1, i]:
                    rhs[t, i] += weight * step[t + 1, i]
        for i in range(size):
            total = 0.0
            for j in range(size):
                total += inverse[t, i, j] * rhs[t, j]
            step[t, i] = total if free[t, i] else 0.0


# See kernel_cache.py.
KERNEL = _block_solve
