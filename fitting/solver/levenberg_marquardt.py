"""Levenberg-Marquardt on one frame and on many, within bounds (Eq. 3).

Levenberg 1944, Marquardt 1963. Each step minimises the linearised, damped energy exactly within the
bounds of f_exp (a chord step takes the system of a step before): pose and identity are eliminated
from the normal equations by a partial Cholesky factorisation, and the small bounded problem that
remains is solved by block pivoting from the last step's guess.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .fitter import Fitter, Prior, Solver
from .layout import POSE, Layout
from .linear_algebra import (
    AT_LOWER,
    AT_UPPER,
    FREE,
    SLACK,
    BoundedQuadratic,
    cholesky,
    copy_row,
    minimise,
    solve_lower,
    solve_upper,
)
from .normal_equations import (
    assemble,
    chord_gradient,
    full_gradient,
    mark_active_bounds,
    prior_energy,
    set_rhs,
)
from .problem import JAW, Frame, Frames, State, frame_of, state_of
from .residuals import begin_frame, choose_contour, evaluate, linearise

CONVERGED, EXHAUSTED, DIVERGED = 0, 1, 2

# The damping mu is relative to the curvature diag(J^T J) of each unknown. It starts at 0, as a
# plain Gauss-Newton step: the priors already keep the system definite, and near the solution
# nothing converges faster. A step that does not lower the energy brings it to LEAST_DAMPING, from
# where it changes by Marquardt's factor of 10; a full step that does lower it takes it down again,
# and from LEAST_DAMPING to 0, since less would change a step by under a thousandth. The first one
# after a refused step does not: along an edge every lower damping would be refused anew. Where
# priors hold next to nothing, fits that knew no damping below a tenth went back and forth for ever.
LEAST_DAMPING = 1e-3
DAMPING_RISE, DAMPING_FALL = 10.0, 0.1
# Beyond this a step is 1e-8 of that to the minimum along each unknown. The resolution of float32
# coefficients is 6e-8: they would not move, so no further step can lower the energy.
MOST_DAMPING = 1e8
# A step with the last iteration's factored system (a chord step; Kelley, Iterative methods for
# linear and nonlinear equations, 1995, section 5.4) costs a fraction of a full one: a gradient
# without the Jacobian, and no factorisation. Its gradient is exact, so that it ends at the same
# solution, but it converges only linearly. It follows an accepted, undamped step that gained at
# most this share of the gain before, that is, while steps converge (`factored` in `fit_frame`). It
# never follows the first step, which leads far from where its system was made.
CHORD_GAIN = 0.5
# Share of the gain before that a step gains at most where one asks what is left to gain.
SLOW = 0.9
# Iterations in which the jaw may still move on the contour, and how often it is looked at again
# where a fit has settled. The energy jumps where a landmark moves to another candidate, so that
# energies before and after cannot be compared, and a landmark between two of them could go back and
# forth for ever: after eight iterations in place of three more such frames hang on the last bits.
# With 3 and 0 a restart of a real clip's frames chose others in 37 % of them, with these in 2 %,
# for a fifth more time.
CONTOUR_ITERATIONS, CONTOUR_ROUNDS = 3, 2
# Share of a step that is tried where the whole raises the energy: across the node of a curve it is
# mostly too long, and an evaluation costs a fraction of a damped step.
SHORTER = 0.3
# Damping from which a shortened step's gain tells what is left. The energy of whitened residuals
# jumps where a landmark's nearest side of a curve changes, and a minimum may lie at such an edge.
# There every step is shortened, however much it is damped: no other step could end the fit.
AT_AN_EDGE = 1.0


class FitResult(NamedTuple):
    """What n fits came to.

    Attributes
    ----------
    energy : (n,) float64, Eq. 3 in squared inter-ocular distances
    iterations : (n,) int32, steps that were tried
    status : (n,) int32, CONVERGED, EXHAUSTED or DIVERGED
    contour : (n, 17) int32, places of the jaw landmarks on their lines
    """

    energy: NDArray[np.float64]
    iterations: NDArray[np.int32]
    status: NDArray[np.int32]
    contour: NDArray[np.int32]


def fit_frames(
    fitter: Fitter,
    frames: Frames,
    states: State,
    *,
    fixed: bool = False,
    warm: bool = False,
) -> FitResult:
    """Fit every frame by itself from its state.

    Parameters
    ----------
    fitter : of these frames
    frames : what was detected
    states : (n,) start of each frame, overwritten
    fixed : keep the coefficients and fit the pose alone; the prior's bounds are overwritten
    warm : start each frame from the result of the one before it

    Returns
    -------
    FitResult
    """
    count = len(frames.focal)
    found = FitResult(
        np.empty(count),
        np.empty(count, np.int32),
        np.empty(count, np.int32),
        np.empty((count, JAW), np.int32),
    )
    _fit_frames(fitter, frames, states, fixed, warm, found)
    return found


@njit(cache=True, boundscheck=False)
def _fit_frames(
    fitter: Fitter, frames: Frames, states: State, fixed: bool, warm: bool, found: FitResult
) -> None:
    energy, iterations, status, contour = found
    for i in range(len(frames.focal)):
        state = state_of(states, i)
        if warm and i > 0 and status[i - 1] == CONVERGED:
            _copy_state(state_of(states, i - 1), state)
        # Coefficients between bounds that are equal cannot move.
        if fixed:
            copy_row(state.x, fitter.prior.lower)
            copy_row(state.x, fitter.prior.upper)
        energy[i], iterations[i], status[i] = fit_frame(fitter, frame_of(frames, i), state)
        copy_row(fitter.work.candidate, contour[i])


# Where it is kept, all kernels are.
KERNEL = _fit_frames


@njit(cache=True, boundscheck=False, inline="always")
def fit_frame(fitter: Fitter, frame: Frame, state: State) -> tuple[float, int, int]:
    """Minimise Eq. 3 for one frame.

    Parameters
    ----------
    fitter : of this frame
    frame : what was detected
    state : start, within the bounds; overwritten by the solution

    Returns
    -------
    tuple
        the energy, the number of steps, and CONVERGED, EXHAUSTED or DIVERGED
    """
    # The fitter's fields are taken out once: each access counts the references of all their arrays.
    # What is called takes the fields that it needs: an array is ten arguments to the compiler.
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work, stop, trial = fitter.work, fitter.stop, fitter.trial
    solver, bounded = fitter.solver, fitter.bounded
    value, jacobian, layout = work.value, work.jacobian, work.layout
    x = state.x
    guess_bounds(prior, x, bounded.state)
    begin_frame(points, frame, scheme, state, work)
    energy = evaluate(points, frame, scheme, loss, state, work) + prior_energy(prior, x)
    if not np.isfinite(energy):
        return energy, 0, DIVERGED
    mu, last_gain = 0.0, np.inf
    moving, rounds, refused = 0, 0, False
    if frame.contour[0] < 0:
        moving, rounds = CONTOUR_ITERATIONS, CONTOUR_ROUNDS
    # fresh: the work arrays were evaluated at the present state, but not linearised there.
    # factored: the solver holds a factored system that may serve again. Where this is so at the top
    # of the loop, the step is a chord step; the end of the loop decides it for the next one.
    fresh, factored = True, False
    for iteration in range(1, stop.iterations + 1):
        chord = factored
        if chord:
            chord_gradient(points, frame, loss, prior, state, work, solver.gradient)
        else:
            if fresh:
                linearise(points, frame, loss, state, work)
                full_gradient(value, jacobian, prior, x, solver)
            mark_active_bounds(solver, prior, x, layout.eliminated)
            rows = scheme.rows + work.corners[0]
            factored = factor_system(solver, prior, jacobian, rows, layout, mu, bounded.matrix)
        reached, shorter = np.inf, False
        if factored and solve_bounded(solver, prior, x, layout.eliminated, bounded):
            while True:
                trial_step(solver.unknown, solver.step, prior, state, trial)
                data = evaluate(points, frame, scheme, loss, trial, work)
                reached = prior_energy(prior, trial.x) + data
                if reached <= energy * (1.0 + stop.tolerance) or chord or shorter:
                    break
                shorter = True
                for c in range(len(solver.step)):
                    solver.step[c] *= SHORTER
        fresh = reached < energy
        if fresh:
            gain, energy = energy - reached, reached
            _copy_state(trial, state)
            # The factored system serves as long as it takes most of what is left; only an undamped
            # one, since damping belongs to the step for which it was chosen.
            factored = mu == 0.0 and iteration > 1 and gain <= CHORD_GAIN * last_gain
            if not (chord or refused):
                mu = 0.0 if mu <= LEAST_DAMPING else DAMPING_FALL * mu
            trusted = not shorter or mu >= AT_AN_EDGE
            settled = trusted and _left_to_gain(gain, last_gain) <= stop.tolerance * energy
            last_gain = gain
            refused = False
        else:
            factored, refused = False, not chord
            # Not lower, but no higher than the tolerance either, or it promised no more than that:
            # nothing is left to gain.
            settled = not chord and (
                reached <= energy * (1.0 + stop.tolerance)
                or (np.isfinite(reached) and _promised(solver, shorter) <= stop.tolerance * energy)
            )
            if not (chord or settled):
                mu = max(DAMPING_RISE * mu, LEAST_DAMPING)
                if mu > MOST_DAMPING:
                    return energy, iteration, DIVERGED
                continue
            # The work arrays are those of the step that was refused: back to the state.
            evaluate(points, frame, scheme, loss, state, work)
            fresh = True
            if chord:
                continue
        if (iteration <= moving or (settled and rounds > 0)) and choose_contour(
            points, state, work
        ):
            if settled:
                rounds, factored, last_gain = rounds - 1, False, np.inf
            energy = prior_energy(prior, x) + evaluate(points, frame, scheme, loss, state, work)
        elif settled:
            return energy, iteration, CONVERGED
    return energy, stop.iterations, EXHAUSTED


@njit(cache=True, boundscheck=False)
def _left_to_gain(gain: float, before: float) -> float:
    """What further steps would gain, if each gains the share of the last that the last two show.

    The sum of a geometric series; the first step is taken for a slow one.
    """
    share = SLOW if np.isinf(before) else min(gain / before, SLOW)
    return gain * share / (1.0 - share)


@njit(cache=True, boundscheck=False)
def _promised(solver: Solver, shorter: bool) -> float:
    """What a step promised to gain to first order; the whole one, where it was shortened."""
    along = 0.0
    for c in range(len(solver.step)):
        if solver.unknown[c] >= 0:
            along += solver.gradient[solver.unknown[c]] * solver.step[c]
    # The gradient is half the energy's.
    return abs(2.0 * along) / (SHORTER if shorter else 1.0)


@njit(cache=True, boundscheck=False)
def _copy_state(source: State, to: State) -> None:
    copy_row(source.x, to.x)
    copy_row(source.translation, to.translation)
    for a in range(3):
        copy_row(source.rotation[a], to.rotation[a])


@njit(cache=True, boundscheck=False)
def guess_bounds(prior: Prior, x: NDArray[np.floating], state: NDArray[np.int8]) -> None:
    """Take the bounds at which x stands as the guess for the first step.

    Parameters
    ----------
    prior : with the bounds
    x : (K,) coefficients
    state : (b,) int8 of the last coefficients, filled, as that of a `BoundedQuadratic`
    """
    eliminated = len(x) - len(state)
    for i in range(len(state)):
        k = eliminated + i
        state[i] = FREE
        if x[k] <= prior.lower[k]:
            state[i] = AT_LOWER
        elif x[k] >= prior.upper[k]:
            state[i] = AT_UPPER


@njit(cache=True, boundscheck=False)
def factor_system(
    solver: Solver,
    prior: Prior,
    jacobian: NDArray[np.floating],
    rows: int,
    layout: Layout,
    mu: float,
    matrix: NDArray[np.floating],
) -> bool:
    """Assemble the damped normal equations and eliminate pose and identity from them.

    Parameters
    ----------
    solver : after `full_gradient` and `mark_active_bounds`; filled: system
    prior, jacobian, rows, layout, mu : as those of `assemble`
    matrix : (b, b), filled with the Schur complement for what is left, both triangles

    Returns
    -------
    bool
        False where the system is not positive definite
    """
    system, stop = solver.system, layout.eliminated
    assemble(solver, prior, jacobian, rows, layout, mu)
    if not cholesky(system, layout.columns, stop):
        return False
    for i in range(len(matrix)):
        row = system[stop + i, stop:]
        for j in range(i, len(matrix)):
            matrix[i, j] = row[j]
            matrix[j, i] = row[j]
    return True


@njit(cache=True, boundscheck=False)
def solve_bounded(
    solver: Solver,
    prior: Prior,
    x: NDArray[np.floating],
    stop: int,
    bounded: BoundedQuadratic,
) -> bool:
    """The step within the bounds of what is not eliminated, for the factored system and gradient.

    Parameters
    ----------
    solver : after `factor_system`, or `chord_gradient`; filled: step
    prior : with the bounds
    x : (K,) coefficients from which it leads
    stop : how many columns are eliminated
    bounded : with the matrix of `factor_system`; all else is filled

    Returns
    -------
    bool
        False where there is none
    """
    linear, lower, upper = bounded.linear, bounded.lower, bounded.upper
    least, most, rhs = prior.lower, prior.upper, solver.rhs
    left, total, system, step = len(linear), len(rhs), solver.system, solver.step
    set_rhs(solver)
    solve_lower(system, total, stop, rhs)
    # What is left is min 1/2 y^T S y - rhs_2^T y over the step y of the last, x + y within bounds.
    for i in range(left):
        k = len(x) - left + i
        linear[i] = -rhs[stop + i]
        lower[i], upper[i] = least[k] - x[k], most[k] - x[k]
    if minimise(bounded, SLACK) < 0:
        return False
    for i in range(stop, total):
        rhs[i] = bounded.solution[i - stop] if i < stop + left else 0.0
    solve_upper(system, total, stop, rhs)
    copy_row(rhs, step)
    return True


@njit(cache=True, boundscheck=False)
def trial_step(
    unknown: NDArray[np.int32],
    step: NDArray[np.float64],
    prior: Prior,
    state: State,
    trial: State,
) -> None:
    """The unknowns that the step leads to; coefficients are kept within their bounds.

    f_exp is within them already; of the eliminated f_shape, a step may go beyond, and is cut.

    Parameters
    ----------
    unknown : (N,) int32, the coefficient of each, -1 for padding
    step : (N,) float64
    prior : with the bounds
    state : unknowns from which the step leads
    trial : filled
    """
    x, lower, upper = state.x, prior.lower, prior.upper
    for c in range(POSE, len(unknown)):
        k = unknown[c]
        if k >= 0:
            trial.x[k] = min(max(x[k] + step[c], lower[k]), upper[k])
    turned_by(step[:3], state.rotation, trial.rotation)
    for a in range(3):
        trial.translation[a] = state.translation[a] + step[3 + a]


@njit(cache=True, boundscheck=False)
def turned_by(
    vector: NDArray[np.float64], rotation: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """out = exp(vector) rotation, by Rodrigues' formula.

    exp(w) c = c + sin(a)/a (w x c) + (1 - cos(a))/a^2 w x (w x c) for each column c, a = |w|. Near
    0 the two factors are their series, 1 - a^2/6 and 1/2 - a^2/24.

    Parameters
    ----------
    vector : (3,) float64, radians
    rotation : (3, 3) float64
    out : (3, 3) float64, filled
    """
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
