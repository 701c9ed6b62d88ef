"""Fits of frames from nothing: a pose to start from, and others where that goes badly."""

from __future__ import annotations

import numpy as np

from .frame_fits import FrameStates, Observations, Outcome, fit_frames
from .initial_pose import NormalisedLandmarks, weak_perspective
from .morphable_model.landmark_scheme import COUNT
from .solver.levenberg_marquardt import CONVERGED
from .solver.normal_equations import Fitter

# Above this root mean square distance, in inter-ocular distances, a fit is tried again.
DOUBTFUL = 0.06
OTHER_YAWS = (-0.7, 0.7)


def start(fitter: Fitter, part: NormalisedLandmarks, observations: Observations) -> FrameStates:
    """Coefficients 0 (or the nearest within bounds) and the pose of that face."""
    poses = weak_perspective(part, observations.focal, fitter.points.mean)
    dtype = fitter.points.modes.dtype
    x = np.clip(np.zeros(fitter.points.coefficients), fitter.prior.lower, fitter.prior.upper)
    return FrameStates(
        np.tile(x.astype(dtype), (len(observations.focal), 1)), poses.rotation, poses.translation
    )


def fit_all(
    fitter: Fitter, part: NormalisedLandmarks, observations: Observations, states: FrameStates
) -> Outcome:
    """Fit every frame; where that went badly, also from poses turned to both sides."""
    outcome = fit_frames(fitter, observations, states)
    # A dense point counts as much as it weighs.
    limit = (COUNT + part.weight[:, COUNT:].sum(1)) * DOUBTFUL**2
    doubtful = np.flatnonzero((outcome.status != CONVERGED) | (outcome.energy > limit))
    for yaw in OTHER_YAWS if len(doubtful) else ():
        some = observations.rows(doubtful)
        trial = start(fitter, part.rows(doubtful), some)
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        trial.rotation[:] = trial.rotation @ turn
        again = fit_frames(fitter, some, trial)
        better = (again.energy < outcome.energy[doubtful]) & (again.status == CONVERGED)
        rows = doubtful[better]
        states.x[rows], states.rotation[rows] = trial.x[better], trial.rotation[better]
        states.translation[rows] = trial.translation[better]
        outcome.energy[rows], outcome.status[rows] = again.energy[better], again.status[better]
        outcome.iterations[doubtful] += again.iterations
    return outcome
