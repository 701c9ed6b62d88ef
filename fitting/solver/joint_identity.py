"""One f_shape for all frames of a subject: variable projection over the shared coefficients.

For a given identity every frame is fitted by itself; a Gauss-Newton step on the identity then
minimises the energy of all frames together, each frame's pose and f_exp eliminated from the
arrow-shaped normal equations (Schur complement). Memory does not grow with the frames.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .levenberg_marquardt import FrameStates, Observations, fit_frames
from .linear_algebra import BoundedQuadratic, minimise, new_bounded_quadratic
from .normal_equations import Fitter, Prior, full_gradient, hold, reduce_system
from .problem import Frame, with_identity
from .residuals import begin_frame, evaluate, linearise

Floats = NDArray[np.float64]
ITERATIONS = 30


@njit(cache=True, boundscheck=False)
def _add_reduced(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    yaw_range: NDArray[np.int64],
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    system: Floats,
    right: Floats,
) -> None:
    """Add every frame's Schur complement for the identity to system and right."""
    solver, shared = fitter.solver, len(right)
    total = len(solver.unknown)
    stop = total - shared
    for i in range(len(focal)):
        frame = Frame(target[i], root_weight[i], focal[i], yaw_range[i])
        begin_frame(
            fitter.points, frame, fitter.scheme, x[i], rotation[i], translation[i], fitter.work
        )
        energy = evaluate(
            fitter.points,
            frame,
            fitter.scheme,
            fitter.loss,
            x[i],
            rotation[i],
            translation[i],
            fitter.work,
        )
        if not np.isfinite(energy):
            continue
        linearise(fitter.points, frame, fitter.loss, rotation[i], fitter.work)
        full_gradient(fitter, x[i])
        hold(fitter, x[i], fitter.prior.identity, len(x[i]))
        if not reduce_system(fitter):
            continue
        for p in range(shared):
            right[p] += solver.right[stop + p]
            for q in range(p + 1):
                system[p, q] += solver.system[stop + p, stop + q]


def fit_subject(
    local: Fitter, joint: Fitter, observations: Observations, f_shape: Floats, states: FrameStates
) -> tuple[Floats, FrameStates, float]:
    """Fit one identity and every frame's pose and f_exp.

    local: fitter of the expression alone, whose points are replaced by those of the identity;
    joint: fitter of all coefficients with the identity last, whose prior counts once.
    f_shape: (s,) start. states: start of the expression coefficients and poses.
    Returns f_shape (s,) float64, the frames' states and the energy of all.
    """
    prior = joint.prior
    shared = prior.identity
    lower, upper = prior.lower[:shared], prior.upper[:shared]
    weight, mean = prior.weight[:shared], prior.mean[:shared]
    every_frame = joint._replace(prior=_without_identity_prior(joint))
    step = new_bounded_quadratic(shared, np.float64)

    def fitted(shape: Floats, start: FrameStates) -> tuple[float, FrameStates]:
        result = start.copy()
        fitter = local._replace(points=with_identity(joint.points, shape))
        outcome = fit_frames(fitter, observations, result)
        energy = outcome.energy[np.isfinite(outcome.energy)].sum()
        return float(energy + (weight * (shape - mean) ** 2).sum()), result

    shape = np.clip(f_shape, lower, upper)
    energy, current = fitted(shape, states)
    mu = 0.0
    for _ in range(ITERATIONS):
        system, right = _reduced(every_frame, observations, shape, current)
        system[np.diag_indices(shared)] += weight
        right -= weight * (shape - mean)
        trial = shape + _bounded_step(step, system, right, lower - shape, upper - shape, mu)
        reached, moved = fitted(trial, current)
        if not reached < energy:
            mu = max(10.0 * mu, 1e-3)
            if mu > 1e4 or reached <= energy * (1.0 + joint.stop.tolerance):
                break
            continue
        gain, energy = energy - reached, reached
        shape, current = trial, moved
        mu = 0.0 if mu <= 1e-3 else 0.1 * mu
        if gain <= joint.stop.tolerance * energy:
            break
    return shape, current, float(energy)


def _without_identity_prior(joint: Fitter) -> Prior:
    weight = joint.prior.weight.copy()
    weight[: joint.prior.identity] = 0.0
    return joint.prior._replace(weight=weight)


def _reduced(
    fitter: Fitter, observations: Observations, shape: Floats, states: FrameStates
) -> tuple[Floats, Floats]:
    """The normal equations of the identity, full symmetric (s, s), and right side (s,)."""
    shared = len(shape)
    system, right = np.zeros((shared, shared)), np.zeros(shared)
    count = len(observations.focal)
    x = np.concatenate(
        [np.broadcast_to(shape.astype(states.x.dtype), (count, shared)), states.x], 1
    )
    _add_reduced(
        fitter,
        observations.target,
        observations.root_weight,
        observations.focal,
        observations.yaw_range,
        x,
        states.rotation,
        states.translation,
        system,
        right,
    )
    return system + np.tril(system, -1).T, right


def _bounded_step(
    problem: BoundedQuadratic,
    system: Floats,
    right: Floats,
    lower: Floats,
    upper: Floats,
    mu: float,
) -> Floats:
    shared = len(right)
    damped = system + mu * np.diag(np.diag(system))
    problem.matrix[:shared, :shared] = damped
    problem.linear[:], problem.lower[:], problem.upper[:] = -right, lower, upper
    problem.state[:] = 0
    if minimise(problem) < 0:
        return np.zeros(shared)
    return problem.solution.copy()
