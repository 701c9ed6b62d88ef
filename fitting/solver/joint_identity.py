"""One f_shape for all frames of a subject: variable projection over the shared coefficients.

For a given identity every frame is fitted by itself, so that the energy is a function of the
identity alone (variable projection, Golub and Pereyra 1973). A Gauss-Newton step on the identity
then minimises the energy of all frames together, each frame's pose and f_exp eliminated from the
arrow-shaped normal equations (Schur complement; Triggs et al., Bundle adjustment, 2000, section
6.1). Memory does not grow with the frames.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .fitter import Fitter, Prior
from .levenberg_marquardt import DAMPING_FALL, DAMPING_RISE, LEAST_DAMPING, fit_frames
from .linear_algebra import BoundedQuadratic, minimise, new_bounded_quadratic
from .normal_equations import linearise_frame, mark_active_bounds, reduce_system
from .problem import Frames, State, frame_of, state_of, with_identity

Floats = NDArray[np.float64]

ITERATIONS = 30
# A damped step costs a fit of all frames; beyond this one the identity would move by 1e-4 of an
# undamped step, which is below what the tolerance asks for.
MOST_DAMPING = 1e4


def fit_joint_identity(
    local: Fitter, joint: Fitter, frames: Frames, f_shape: Floats, states: State
) -> tuple[Floats, State, float]:
    """Fit one identity and every frame's pose and f_exp.

    Parameters
    ----------
    local : fitter of the expression alone, whose points are replaced by those of the identity
    joint : fitter of all coefficients with the identity last, whose prior counts once
    frames : what was detected
    f_shape : (s,) float64, start of the identity
    states : (n,) start of the expression coefficients and poses, not changed

    Returns
    -------
    tuple
        f_shape (s,) float64, the frames' states, and the energy of all
    """
    prior = joint.prior
    shared = prior.identity
    lower, upper = prior.lower[:shared], prior.upper[:shared]
    weight, mean = prior.weight[:shared], prior.mean[:shared]
    every_frame = joint._replace(prior=_without_identity_prior(joint))
    step = new_bounded_quadratic(shared, np.float64)

    def fitted(shape: Floats, start: State) -> tuple[float, State]:
        reached = start.copy()
        fitter = local._replace(points=with_identity(joint.points, shape))
        energies = fit_frames(fitter, frames, reached).energy
        energy = energies[np.isfinite(energies)].sum()
        return float(energy + (weight * (shape - mean) ** 2).sum()), reached

    shape = np.clip(f_shape, lower, upper)
    energy, current = fitted(shape, states)
    # Damping as in levenberg_marquardt.py, here relative to the diagonal of the reduced system.
    mu = 0.0
    for _ in range(ITERATIONS):
        system, rhs = _reduced(every_frame, frames, shape, current)
        system[np.diag_indices(shared)] += weight
        rhs -= weight * (shape - mean)
        trial = shape + _bounded_step(step, system, rhs, lower - shape, upper - shape, mu)
        reached, moved = fitted(trial, current)
        if not reached < energy:
            mu = max(DAMPING_RISE * mu, LEAST_DAMPING)
            if mu > MOST_DAMPING or reached <= energy * (1.0 + joint.stop.tolerance):
                break
            continue
        gain, energy = energy - reached, reached
        shape, current = trial, moved
        mu = 0.0 if mu <= LEAST_DAMPING else DAMPING_FALL * mu
        if gain <= joint.stop.tolerance * energy:
            break
    return shape, current, float(energy)


def _without_identity_prior(joint: Fitter) -> Prior:
    """The prior that each frame brings: that of the identity counts once, not once a frame."""
    weight = joint.prior.weight.copy()
    weight[: joint.prior.identity] = 0.0
    return joint.prior._replace(weight=weight)


def _reduced(fitter: Fitter, frames: Frames, shape: Floats, states: State) -> tuple[Floats, Floats]:
    """The normal equations of the identity, full symmetric (s, s), and right-hand side (s,)."""
    shared = len(shape)
    system, rhs = np.zeros((shared, shared)), np.zeros(shared)
    shapes = np.broadcast_to(shape.astype(states.x.dtype), (len(frames.focal), shared))
    _add_reduced(
        fitter, frames, states._replace(x=np.concatenate([shapes, states.x], 1)), system, rhs
    )
    return system + np.tril(system, -1).T, rhs


@njit(cache=True, boundscheck=False)
def _add_reduced(
    fitter: Fitter, frames: Frames, states: State, system: Floats, rhs: Floats
) -> None:
    """Add every frame's Schur complement for the identity to system and rhs.

    Expressions that stand at a bound and would leave it are not eliminated: they do not move.
    """
    solver, shared = fitter.solver, len(rhs)
    stop = len(solver.unknown) - shared
    for i in range(len(frames.focal)):
        state = state_of(states, i)
        if not linearise_frame(fitter, frame_of(frames, i), state):
            continue
        mark_active_bounds(fitter, state.x, fitter.prior.identity, len(state.x))
        if not reduce_system(fitter):
            continue
        for p in range(shared):
            rhs[p] += solver.rhs[stop + p]
            for q in range(p + 1):
                system[p, q] += solver.system[stop + p, stop + q]


def _bounded_step(
    problem: BoundedQuadratic,
    system: Floats,
    rhs: Floats,
    lower: Floats,
    upper: Floats,
    mu: float,
) -> Floats:
    """The damped step of the identity within its bounds, (s,); 0 where there is none."""
    shared = len(rhs)
    damped = system + mu * np.diag(np.diag(system))
    problem.matrix[:shared, :shared] = damped
    problem.linear[:], problem.lower[:], problem.upper[:] = -rhs, lower, upper
    problem.state[:] = 0
    if minimise(problem) < 0:
        return np.zeros(shared)
    return problem.solution.copy()
