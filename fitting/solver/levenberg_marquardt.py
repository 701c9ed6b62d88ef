"""Levenberg-Marquardt on one frame and on many.

Levenberg-Marquardt on one frame, with bounds, in Numba (Eq. 3).

Each step minimises the linearised, damped energy exactly within the bounds of f_exp: pose and
identity are eliminated from the normal equations by a partial Cholesky factorisation, and the
small bounded problem that remains is solved by block pivoting from the last step's guess.

Fits of many frames by themselves: their unknowns, what was seen, and what came out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import AT_LOWER, AT_UPPER, FREE, cholesky, minimise
from .normal_equations import (
    Fitter,
    assemble,
    chord_gradient,
    eliminate_right,
    full_gradient,
    hold,
    prior_energy,
    set_right,
    substitute,
)
from .problem import POSE, Frame
from .residuals import begin_frame, choose_contour, evaluate, linearise

CONVERGED, EXHAUSTED, DIVERGED = 0, 1, 2
# A step with the last iteration's factored system (a chord step) costs a fraction of a full one. It
# is taken while each step gains at most this share of the gain before, that is, while it converges.
CHORD_GAIN = 0.5
# Iterations in which the jaw may still move on the contour; then it is fixed, so that energies of
# successive iterations can be compared.
CONTOUR_ITERATIONS = 3


@njit(cache=True, boundscheck=False)
def factor_system(fitter: Fitter, mu: float) -> bool:
    """Assemble the damped normal equations and eliminate pose and identity from them."""
    solver, bounded = fitter.solver, fitter.solver.bounded
    total, left = len(solver.unknown), len(bounded.linear)
    stop = total - left
    assemble(fitter, mu)
    if not cholesky(solver.system, total, stop, solver.tile):
        return False
    matrix, system = bounded.matrix, solver.system
    for i in range(left):
        for j in range(i + 1):
            matrix[i, j] = system[stop + i, stop + j]
            matrix[j, i] = matrix[i, j]
    return True


@njit(cache=True, boundscheck=False)
def solve_bounded(fitter: Fitter, x: NDArray[np.floating]) -> bool:
    """The step solver.step within the bounds of f_exp, for the factored system and gradient."""
    solver, prior, bounded = fitter.solver, fitter.prior, fitter.solver.bounded
    linear, lower, upper = bounded.linear, bounded.lower, bounded.upper
    least, most, right = prior.lower, prior.upper, solver.right
    total, left = len(solver.unknown), len(linear)
    stop = total - left
    set_right(solver)
    eliminate_right(solver.system, right, total, stop)
    for i in range(left):
        k = prior.identity + i
        linear[i] = -right[stop + i]
        lower[i], upper[i] = least[k] - x[k], most[k] - x[k]
    if minimise(bounded) < 0:
        return False
    solver.step[stop:] = bounded.solution
    substitute(solver.system, right, total, stop, solver.step)
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
    Returns the energy, the number of steps, and CONVERGED, EXHAUSTED or DIVERGED.
    """
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work, solver, stop = fitter.work, fitter.solver, fitter.stop
    guess_state(fitter, x)
    begin_frame(points, frame, scheme, x, rotation, translation, work)
    energy = evaluate(points, frame, scheme, loss, x, rotation, translation, work)
    energy += prior_energy(prior, x)
    if not np.isfinite(energy):
        return energy, 0, DIVERGED
    mu, last_gain = 0.0, np.inf
    fresh, factored = True, False
    for iteration in range(1, stop.iterations + 1):
        chord = factored
        if chord:
            chord_gradient(fitter, frame, x, rotation)
        else:
            if fresh:
                linearise(points, frame, loss, rotation, work)
                full_gradient(fitter, x)
            hold(fitter, x, 0, prior.identity)
            factored = factor_system(fitter, mu)
        reached = np.inf
        if factored and solve_bounded(fitter, x):
            take_step(fitter, x, rotation, translation)
            reached = prior_energy(prior, solver.trial) + evaluate(
                points, frame, scheme, loss, solver.trial, solver.turn, solver.shift, work
            )
        fresh = reached < energy
        if not fresh:
            factored = False
            if chord:
                # The work arrays are those of the step that was refused: back to x.
                evaluate(points, frame, scheme, loss, x, rotation, translation, work)
                fresh = True
                continue
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
        # The factored system serves as long as it takes most of what is left.
        factored = mu == 0.0 and gain <= CHORD_GAIN * last_gain
        last_gain = gain
        if not chord:
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


Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameStates:
    """The unknowns of n frames, overwritten by fits.

    x: (n, K) coefficients of the modes' type. rotation: (n, 3, 3); translation: (n, 3) float64.
    """

    x: NDArray[np.floating]
    rotation: Floats
    translation: Floats

    def copy(self) -> FrameStates:
        """Independent arrays of the same values."""
        return FrameStates(self.x.copy(), self.rotation.copy(), self.translation.copy())


@dataclass(frozen=True, eq=False)
class Observations:
    """Normalised landmarks of n frames: target (n, 68, 2), root_weight (n, 68), focal (n,).

    yaw_range: (n,) int64, which of the loss's covariances is that of each frame.
    """

    target: Floats
    root_weight: Floats
    focal: Floats
    yaw_range: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.integer]) -> Observations:
        """Some of the frames."""
        return Observations(
            self.target[chosen],
            self.root_weight[chosen],
            self.focal[chosen],
            self.yaw_range[chosen],
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What n fits came to: energy (n,) float64, iterations (n,) int32, status (n,) int32."""

    energy: Floats
    iterations: NDArray[np.int32]
    status: NDArray[np.int32]


def fit_frames(
    fitter: Fitter,
    observations: Observations,
    states: FrameStates,
    *,
    fixed: bool = False,
    warm: bool = False,
) -> Outcome:
    """Fit every frame by itself from its state, which is overwritten.

    fixed: keep the coefficients and fit the pose alone; the prior's bounds are overwritten.
    warm: start each frame from the result of the one before it.
    """
    count = len(observations.focal)
    outcome = Outcome(np.empty(count), np.empty(count, np.int32), np.empty(count, np.int32))
    _fit_frames(
        fitter,
        observations.target,
        observations.root_weight,
        observations.focal,
        observations.yaw_range,
        states.x,
        states.rotation,
        states.translation,
        fixed,
        warm,
        outcome.energy,
        outcome.iterations,
        outcome.status,
    )
    return outcome


@njit(cache=True, boundscheck=False)
def _fit_frames(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    yaw_range: NDArray[np.int64],
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    fixed: bool,
    warm: bool,
    energy: Floats,
    iterations: NDArray[np.int32],
    status: NDArray[np.int32],
) -> None:
    for i in range(len(focal)):
        if warm and i > 0 and status[i - 1] == CONVERGED:
            x[i] = x[i - 1]
            rotation[i] = rotation[i - 1]
            translation[i] = translation[i - 1]
        if fixed:
            fitter.prior.lower[:] = x[i]
            fitter.prior.upper[:] = x[i]
        frame = Frame(target[i], root_weight[i], focal[i], yaw_range[i])
        energy[i], iterations[i], status[i] = fit_frame(
            fitter, frame, x[i], rotation[i], translation[i]
        )


# The outermost kernel; where it is kept, all are.
KERNEL = _fit_frames
