"""Levenberg-Marquardt on one frame, with bounds, in Numba (Eq. 3).

Each step minimises the linearised, damped energy exactly within the bounds of f_exp: pose and
identity are eliminated from the normal equations by a partial Cholesky factorisation, and the
small bounded problem that remains is solved by block pivoting from the last step's guess.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .bounded_quadratic import AT_LOWER, AT_UPPER, FREE, minimise
from .frame_residuals import POSE, Frame, begin_frame, choose_contour, evaluate, linearise
from .normal_equations import (
    Fitter,
    assemble,
    eliminate,
    full_gradient,
    hold,
    prior_energy,
    substitute,
)

CONVERGED, EXHAUSTED, DIVERGED = 0, 1, 2
# Iterations in which the jaw may still move on the contour; then it is fixed, so that energies of
# successive iterations can be compared.
CONTOUR_ITERATIONS = 3


@njit(cache=True, boundscheck=False)
def solve_bounded(fitter: Fitter, x: NDArray[np.floating]) -> bool:
    """The step solver.step within the bounds of f_exp, from the assembled system."""
    solver, prior, bounded = fitter.solver, fitter.prior, fitter.solver.bounded
    total, start = len(solver.unknown), prior.identity
    stop = total - (len(x) - start)
    if not eliminate(solver.system, solver.right, total, stop, solver.tile):
        return False
    matrix, linear, lower, upper = bounded.matrix, bounded.linear, bounded.lower, bounded.upper
    system, right, least, most = solver.system, solver.right, prior.lower, prior.upper
    for i in range(len(x) - start):
        k = start + i
        linear[i] = -right[stop + i]
        lower[i], upper[i] = least[k] - x[k], most[k] - x[k]
        for j in range(i + 1):
            matrix[i, j] = system[stop + i, stop + j]
            matrix[j, i] = matrix[i, j]
    if minimise(bounded) < 0:
        return False
    solver.step[stop:] = bounded.solution
    substitute(solver.system, solver.right, total, stop, solver.step)
    return True


@njit(cache=True, boundscheck=False)
def turned_by(
    vector: NDArray[np.float64], rotation: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """out = exp(vector) rotation, by Rodrigues' formula."""
    x, y, z = vector[0], vector[1], vector[2]
    square = x * x + y * y + z * z
    if square < 1e-8:
        first, second = 1.0 - square / 6.0, 0.5 - square / 24.0
    else:
        angle = np.sqrt(square)
        first, second = np.sin(angle) / angle, (1.0 - np.cos(angle)) / square
    for column in range(3):
        a, b, c = rotation[0, column], rotation[1, column], rotation[2, column]
        u, v, w = y * c - z * b, z * a - x * c, x * b - y * a
        out[0, column] = a + first * u + second * (y * w - z * v)
        out[1, column] = b + first * v + second * (z * u - x * w)
        out[2, column] = c + first * w + second * (x * v - y * u)


@njit(cache=True, boundscheck=False)
def take_step(
    fitter: Fitter,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> None:
    """Fill solver.trial, solver.turn and solver.shift; coefficients stay within their bounds."""
    solver = fitter.solver
    unknown, step, trial = solver.unknown, solver.step, solver.trial
    lower, upper = fitter.prior.lower, fitter.prior.upper
    for c in range(POSE, len(unknown)):
        k = unknown[c]
        if k >= 0:
            trial[k] = min(max(x[k] + step[c], lower[k]), upper[k])
    turned_by(solver.step[:3], rotation, solver.turn)
    for a in range(3):
        solver.shift[a] = translation[a] + solver.step[3 + a]


@njit(cache=True, boundscheck=False)
def guess_state(fitter: Fitter, x: NDArray[np.floating]) -> None:
    """Take the bounds at which x stands as the guess for the first step."""
    prior, state = fitter.prior, fitter.solver.bounded.state
    for i in range(len(state)):
        k = prior.identity + i
        state[i] = FREE
        if x[k] <= prior.lower[k]:
            state[i] = AT_LOWER
        elif x[k] >= prior.upper[k]:
            state[i] = AT_UPPER


@njit(cache=True, boundscheck=False)
def fit_frame(
    fitter: Fitter,
    frame: Frame,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> tuple[float, int, int]:
    """Minimise Eq. 3 from the given start; x, rotation and translation are overwritten.

    x: (K,) of the modes' type, within its bounds. rotation: (3, 3); translation: (3,) float64.
    Returns the energy, the number of linear systems solved, and CONVERGED, EXHAUSTED or DIVERGED.
    """
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work, solver, stop = fitter.work, fitter.solver, fitter.stop
    guess_state(fitter, x)
    begin_frame(points, frame, scheme, x, rotation, translation, work)
    energy = evaluate(points, frame, scheme, loss, x, rotation, translation, work)
    energy += prior_energy(prior, x)
    if not np.isfinite(energy):
        return energy, 0, DIVERGED
    mu, fresh = 0.0, True
    for iteration in range(1, stop.iterations + 1):
        if fresh:
            linearise(points, frame, loss, rotation, work)
            full_gradient(fitter, x)
            hold(fitter, x, 0, prior.identity)
        assemble(fitter, mu)
        reached = np.inf
        if solve_bounded(fitter, x):
            take_step(fitter, x, rotation, translation)
            reached = prior_energy(prior, solver.trial) + evaluate(
                points, frame, scheme, loss, solver.trial, solver.turn, solver.shift, work
            )
        fresh = reached < energy
        if not fresh:
            if reached <= energy * (1.0 + stop.tolerance):
                return energy, iteration, CONVERGED
            mu = max(10.0 * mu, 1e-3)
            if mu > 1e8:
                return energy, iteration, DIVERGED
            continue
        gain, energy = energy - reached, reached
        x[:] = solver.trial
        rotation[:] = solver.turn
        translation[:] = solver.shift
        mu = 0.0 if mu <= 1e-3 else 0.1 * mu
        if iteration <= CONTOUR_ITERATIONS and choose_contour(
            points, x, rotation, translation, work
        ):
            energy = prior_energy(prior, x) + evaluate(
                points, frame, scheme, loss, x, rotation, translation, work
            )
        elif gain <= stop.tolerance * energy:
            return energy, iteration, CONVERGED
    return energy, stop.iterations, EXHAUSTED
