"""What a sample of a subject's frames tells: identity, focal length, the landmarks' error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from .first_fit import fit_all, start
from .fitters import Fitters
from .frame_fits import FrameStates, Observations
from .frame_sample import spread_sample
from .initial_pose import NormalisedLandmarks
from .noise_level import landmark_error, residuals_seen, ridge_energy
from .solver.joint_identity import fit_subject
from .solver.normal_equations import Fitter
from .solver.problem import with_identity
from .solver.uncertainty import describe_frames

Floats = NDArray[np.float64]

FOCAL_FRAMES = 40
FOCAL_RATIOS = (0.5, 2.5)  # of the focal length that was assumed
# No smaller error of a landmark, inter-ocular distances, where every frame has its own identity:
# with weaker weights a few fits do not settle.
LEAST_ERROR_APART = 0.003


def sample(
    part: NormalisedLandmarks, observations: Observations, count: int
) -> tuple[NormalisedLandmarks, Observations]:
    """A few frames that stand for all; frames with a missing landmark only if all have one."""
    chosen = spread_sample(part.target, count)
    if len(chosen) == 0:
        chosen = np.argsort(-(part.weight > 0).sum(1), kind="stable")[:count]
    return part.rows(chosen), observations.rows(chosen)


def settle(
    fitters: Fitters,
    few: NormalisedLandmarks,
    seen: Observations,
    error: float | None,
    f_shape: Floats | None,
) -> tuple[float, Floats]:
    """What is not known yet of a landmark's error and f_shape, from frames that stand for all."""
    if error is None:
        error, start = _error_at(fitters, few, seen, f_shape)
    else:
        start = np.zeros(fitters.shapes)
    if f_shape is None:
        f_shape, _, _ = _fit_sample(fitters.for_error(error), few, seen, start)
    return error, f_shape


def _error_at(
    fitters: Fitters, few: NormalisedLandmarks, seen: Observations, f_shape: Floats | None
) -> tuple[float, Floats]:
    """A landmark's error and f_shape, with the paper's weights."""
    shape = np.zeros(fitters.shapes) if f_shape is None else f_shape
    local = fitters.local._replace(points=with_identity(fitters.points, shape))
    known = 0
    if f_shape is None:
        shape, states, energy = _fit_sample(fitters, few, seen, shape)
        energy -= float(ridge_energy(fitters.shape_prior, shape[None])[0])
        local = fitters.local._replace(points=with_identity(fitters.points, shape))
        known = fitters.shapes
    else:
        states = start(local, few, seen)
        reached = fit_all(local, few, seen, states).energy
        energy = float(reached[np.isfinite(reached)].sum())
    deviation = describe_frames(local, seen, states, 1.0)[2]
    return _error(local, seen, states, deviation, energy, known), shape


def error_apart(fitters: Fitters, few: NormalisedLandmarks, seen: Observations) -> float:
    """A landmark's error from frames that each have an identity of their own.

    Twice: the first time the paper's weights leave much that is not error of the landmarks.
    """
    error = np.nan
    for _ in range(2):
        weighted = fitters.for_error(error)
        states = start(weighted.whole, few, seen)
        reached = fit_all(weighted.whole, few, seen, states).energy
        energy = float(reached[np.isfinite(reached)].sum())
        of_shape = describe_frames(weighted.joint, seen, states, 1.0)[2]
        of_expression = describe_frames(weighted.whole, seen, states, 1.0)[2]
        deviation = np.concatenate([of_shape, of_expression], axis=1)
        error = _error(weighted.whole, seen, states, deviation, energy, 0)
        error = max(error, LEAST_ERROR_APART)
    return error


def _error(
    fitter: Fitter,
    seen: Observations,
    states: FrameStates,
    deviation: Floats,
    energy: float,
    known: int,
) -> float:
    good = np.isfinite(states.x).all(axis=1)
    x = states.x[good]
    left = energy - float(ridge_energy(fitter.prior, x).sum())
    rows = residuals_seen(fitter.scheme, seen.root_weight[good])
    return landmark_error(fitter.prior, x, deviation[good], rows, left, known)


def _fit_sample(
    fitters: Fitters, few: NormalisedLandmarks, seen: Observations, f_shape: Floats
) -> tuple[Floats, FrameStates, float]:
    states = start(fitters.local, few, seen)
    return fit_subject(fitters.local, fitters.joint, seen, f_shape, states)


def focal_scale(fitters: Fitters, part: NormalisedLandmarks, observations: Observations) -> float:
    """The factor of the assumed focal length that lets one identity explain the frames best."""
    few, seen = sample(part, observations, FOCAL_FRAMES)

    def energy(log_scale: float) -> float:
        scaled = replace(seen, focal=float(np.exp(log_scale)) * seen.focal)
        return _fit_sample(fitters, few, scaled, np.zeros(fitters.shapes))[2]

    low, high = np.log(FOCAL_RATIOS)
    best = minimize_scalar(energy, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(best.x))
