"""f_exp from its landmarks and from a second witness, frame by frame, within bounds.

Around a frame's own solution x the energy of the landmarks and the prior is a quadratic of f_exp
(`uncertainty.reduced_energies`), in units of a landmark's squared error. A witness who says that
f_exp is m with standard deviations s adds ``sum w (y - m)^2``, w = (error / s)^2: the product of
two Gaussians. Its minimum within the bounds is exact, so that nothing has to be fitted again.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import (
    AT_LOWER,
    AT_UPPER,
    FREE,
    BoundedQuadratic,
    cholesky,
    minimise,
    new_bounded_quadratic,
    solve_lower,
)

Floats = NDArray[np.float64]


def fuse(
    x: NDArray[np.floating],
    hessian: NDArray[np.floating],
    gradient: Floats,
    mean: Floats,
    weight: Floats,
    bounds: tuple[Floats, Floats],
) -> Floats:
    """f_exp that the landmarks and the witness agree on best.

    Parameters
    ----------
    x : (n, e) float, each frame's own solution
    hessian : (n, e, e) float, half the Hessian of its energy there, lower triangle
    gradient : (n, e) float64, half the gradient there (not zero at a bound)
    mean : (n, e) float64, what the witness says; any finite number where it says nothing
    weight : (n, e) float64, of (f_exp - mean)^2 in the unit of the energy, 0 where it says nothing
    bounds : lower and upper (e,) float64

    Returns
    -------
    (n, e) float64; a frame whose quadratic is not positive definite keeps its x
    """
    fused = np.clip(np.asarray(x, np.float64), *bounds)
    problem = new_bounded_quadratic(fused.shape[1], np.float64)
    _fuse(np.asarray(x, np.float64), hessian, gradient, mean, weight, *bounds, problem, fused)
    return fused


@njit(cache=True, boundscheck=False)
def _fuse(
    x: Floats,
    hessian: NDArray[np.floating],
    gradient: Floats,
    mean: Floats,
    weight: Floats,
    least: Floats,
    most: Floats,
    problem: BoundedQuadratic,
    fused: Floats,
) -> None:
    """With d = y - x: half of d^T (H + W) d + 2 (g + W (x - m))^T d, least - x <= d <= most - x."""
    size = x.shape[1]
    for t in range(len(x)):
        for i in range(size):
            for j in range(i + 1):
                problem.matrix[i, j] = hessian[t, i, j]
                problem.matrix[j, i] = hessian[t, i, j]
            problem.matrix[i, i] += weight[t, i]
            problem.linear[i] = gradient[t, i] + weight[t, i] * (x[t, i] - mean[t, i])
            problem.lower[i], problem.upper[i] = least[i] - x[t, i], most[i] - x[t, i]
            # Most coefficients that rest at a bound stay there.
            problem.state[i] = FREE
            if x[t, i] <= least[i]:
                problem.state[i] = AT_LOWER
            elif x[t, i] >= most[i]:
                problem.state[i] = AT_UPPER
        # The energies are small numbers, squares of a hundredth: so is what may be missed.
        if minimise(problem, 1e-12) >= 0:
            for i in range(size):
                fused[t, i] = min(max(x[t, i] + problem.solution[i], least[i]), most[i])


def fused_deviations(hessian: NDArray[np.floating], weight: Floats, unit: float) -> Floats:
    """Standard deviations of the fused f_exp; bounds are not regarded.

    Parameters
    ----------
    hessian : (n, e, e) float, half the Hessian of the landmarks' energy, lower triangle
    weight : (n, e) float64, as `fuse` takes it
    unit : the error of a landmark's coordinate that counts as one, inter-ocular distances

    Returns
    -------
    (n, e) float64, the roots of the diagonal of unit^2 (H + W)^-1; NaN where it is indefinite
    """
    out = np.full(weight.shape, np.nan)
    side = len(new_bounded_quadratic(weight.shape[1], np.float64).factor)
    _deviations(hessian, weight, unit, np.zeros((side, side)), np.zeros((4, 4)), out)
    return out


@njit(cache=True, boundscheck=False)
def _deviations(
    hessian: NDArray[np.floating],
    weight: Floats,
    unit: float,
    factor: Floats,
    tile: Floats,
    out: Floats,
) -> None:
    """With H + W = L L^T the diagonal of its inverse is the squared length of L^-1's columns."""
    count, size = weight.shape
    column = np.zeros(len(factor))
    for t in range(count):
        for i in range(size):
            for j in range(i + 1):
                factor[i, j] = hessian[t, i, j]
            factor[i, i] += weight[t, i]
        if not cholesky(factor, size, size, tile):
            continue
        for p in range(size):
            column[:] = 0.0
            column[p] = 1.0
            solve_lower(factor, size, column)
            square = 0.0
            for q in range(p, size):
                square += column[q] ** 2
            out[t, p] = unit * np.sqrt(square)
