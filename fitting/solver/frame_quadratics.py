"""Minima of frames' quadratic energies within bounds, and how sure they are (Numba).

Around its solution the energy of a frame is a quadratic of f_exp (`uncertainty.reduced_energies`).
Where something is added to it that is quadratic too, as another prior, the new minimum follows
from the quadratic alone: exactly, if the frame's energy is the quadratic, and with no new fit.
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
    invert_transposed,
    minimise,
    new_bounded_quadratic,
    padded,
    stride,
)

Floats = NDArray[np.float64]

# The energies are squares of hundredths of a face: so small is what may be missed of a slope.
SLACK = 1e-12
# So many Hessians are taken in double precision at once.
FRAMES_AT_ONCE = 256


def minimise_frames(
    x: Floats, hessian: NDArray[np.floating], gradient: Floats, bounds: tuple[Floats, Floats]
) -> Floats:
    """The minimum of each frame's quadratic within bounds.

    Parameters
    ----------
    x : (n, e) float64, where the quadratics are known, within the bounds
    hessian : (n, e, e) float, half the Hessian of each, lower triangle
    gradient : (n, e) float64, half the gradient of each at x
    bounds : lower and upper (e,) float64

    Returns
    -------
    (n, e) float64; a frame whose quadratic is not positive definite keeps its x
    """
    found = x.copy()
    problem = new_bounded_quadratic(x.shape[1], np.float64)
    _minimise(x, hessian.astype(np.float64, copy=False), gradient, *bounds, problem, found)
    return found


@njit(cache=True, boundscheck=False)
def _minimise(
    x: Floats,
    hessian: Floats,
    gradient: Floats,
    least: Floats,
    most: Floats,
    problem: BoundedQuadratic,
    found: Floats,
) -> None:
    """With d = y - x: half of d^T H d + g^T d, where least - x <= d <= most - x."""
    size = x.shape[1]
    for t in range(len(x)):
        for i in range(size):
            for j in range(i + 1):
                problem.matrix[i, j] = hessian[t, i, j]
                problem.matrix[j, i] = hessian[t, i, j]
            problem.linear[i] = gradient[t, i]
            problem.lower[i], problem.upper[i] = least[i] - x[t, i], most[i] - x[t, i]
            # Most coefficients that rest at a bound stay there.
            problem.state[i] = FREE
            if x[t, i] <= least[i]:
                problem.state[i] = AT_LOWER
            elif x[t, i] >= most[i]:
                problem.state[i] = AT_UPPER
        if minimise(problem, SLACK) >= 0:
            for i in range(size):
                found[t, i] = min(max(x[t, i] + problem.solution[i], least[i]), most[i])


def frame_deviations(hessian: NDArray[np.floating], unit: float | Floats) -> Floats:
    """Standard deviations of f_exp by its quadratic; bounds are not regarded.

    Parameters
    ----------
    hessian : (n, e, e) float, half the Hessian of each frame's energy, lower triangle
    unit : the error of a landmark's coordinate that counts as one, inter-ocular distances; or (n,)
        of each frame

    Returns
    -------
    (n, e) float64, the roots of the diagonal of unit^2 H^-1; NaN where it is indefinite
    """
    out = np.full(hessian.shape[:2], np.nan)
    side, length = int(padded(hessian.shape[1])), stride(hessian.shape[1])
    work = np.eye(side, length), np.zeros((side, length))
    for first in range(0, len(out), FRAMES_AT_ONCE):
        some = slice(first, first + FRAMES_AT_ONCE)
        _deviations(hessian[some].astype(np.float64), *work, out[some])
    return np.asarray(out * np.asarray(unit)[..., None], np.float64)


@njit(cache=True, boundscheck=False)
def _deviations(hessian: Floats, factor: Floats, inverse: Floats, out: Floats) -> None:
    """With H = U^T U the diagonal of H^-1 is the squared length of each column of U^-T."""
    count, size = out.shape
    for t in range(count):
        for i in range(size):
            for j in range(i + 1):
                factor[j, i] = hessian[t, i, j]
        if not cholesky(factor, size, size):
            continue
        invert_transposed(factor, size, inverse)
        for p in range(size):
            square = 0.0
            for q in range(p, size):
                square += inverse[q, p] ** 2
            out[t, p] = np.sqrt(square)


# See kernel_cache.py.
MINIMISE, DEVIATIONS = _minimise, _deviations
