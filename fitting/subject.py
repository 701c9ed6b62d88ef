"""The fit of one subject's frames, normalised: identity, focal length, then every frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .first_fit import fit_all, start
from .fitters import Fitters
from .frame_fits import FrameStates, Observations, Outcome, fit_frames
from .initial_pose import NormalisedLandmarks, Poses
from .options import UNIT_ERROR
from .solver.levenberg_marquardt import CONVERGED
from .solver.normal_equations import Fitter
from .solver.problem import with_identity
from .solver.temporal import smooth
from .solver.uncertainty import describe_frames, reduced_energies
from .subject_estimates import error_apart, focal_scale, sample, settle

Floats = NDArray[np.float64]

# Above this median distance, in inter-ocular distances, it is no fit.
HOPELESS = 0.1
# Frames with identities of their own from which the error of landmarks is estimated.
APART_FRAMES = 64
TEMPORAL_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class GroupFit:
    """Fits of m frames; shape: (m, s), expression and deviation: (m, e), rms and median: (m,).

    error: of a landmark's coordinate, in inter-ocular distances; NaN where it was not asked for.
    """

    shape: NDArray[np.floating]
    expression: NDArray[np.floating]
    deviation: Floats
    rms: Floats
    median: Floats
    poses: Poses
    outcome: Outcome
    focal_scale: float
    error: float

    @property
    def converged(self) -> NDArray[np.bool_]:
        """(m,) whether the solver settled at a fit worth the name."""
        return np.asarray((self.outcome.status == CONVERGED) & (self.median < HOPELESS))


def fit_group(
    fitters: Fitters,
    part: NormalisedLandmarks,
    focal: float,
    f_shape: Floats | None,
    *,
    own_shapes: bool,
    linked: NDArray[np.bool_],
) -> GroupFit:
    """Fit frames that are all usable and of one subject.

    focal: pixels. f_shape: (s,) a known identity. own_shapes: one identity a frame. linked: (m,)
    whether a frame follows the one before it in time.
    """
    observations = Observations(
        part.target, np.sqrt(part.weight), focal / part.unit, part.yaw_range
    )
    if own_shapes and f_shape is None:
        return _fit_apart(fitters, part, observations)
    scale = 1.0
    if f_shape is None and fitters.options.estimate_focal:
        scale = focal_scale(fitters, part, observations)
        observations = replace(observations, focal=scale * observations.focal)
    error = fitters.options.landmark_error if fitters.options.adapts else np.nan
    if error is None or f_shape is None:
        few, seen = sample(part, observations, fitters.options.identity_frames)
        error, f_shape = settle(fitters, few, seen, error, f_shape)
    fitters = fitters.for_error(error)
    fitter = fitters.local._replace(points=with_identity(fitters.points, f_shape))
    states = start(fitter, part, observations)
    outcome = fit_all(fitter, part, observations, states)
    if fitters.options.temporal > 0:
        _smooth(fitter, observations, states, outcome, linked, fitters.options.temporal)
    rms, median, deviation = describe_frames(fitter, observations, states, _unit(error))
    shape = np.broadcast_to(f_shape, (len(states.x), fitters.shapes))
    poses = Poses(states.rotation, states.translation)
    return GroupFit(shape, states.x, deviation, rms, median, poses, outcome, scale, error)


def _fit_apart(fitters: Fitters, part: NormalisedLandmarks, observations: Observations) -> GroupFit:
    """One identity a frame, as in the paper."""
    error = fitters.options.landmark_error if fitters.options.adapts else np.nan
    if error is None:
        error = error_apart(fitters, *sample(part, observations, APART_FRAMES))
    fitter = fitters.for_error(error).whole
    states = start(fitter, part, observations)
    outcome = fit_all(fitter, part, observations, states)
    rms, median, deviation = describe_frames(fitter, observations, states, _unit(error))
    shape, expression = states.x[:, : fitters.shapes], states.x[:, fitters.shapes :]
    poses = Poses(states.rotation, states.translation)
    return GroupFit(shape, expression, deviation, rms, median, poses, outcome, 1.0, error)


def _unit(error: float) -> float:
    return UNIT_ERROR if np.isnan(error) else error


def _smooth(
    fitter: Fitter,
    observations: Observations,
    states: FrameStates,
    outcome: Outcome,
    linked: NDArray[np.bool_],
    weight: float,
) -> None:
    """Replace f_exp by the sequence's minimum, then fit the pose to it."""
    prior = fitter.prior
    for _ in range(TEMPORAL_ROUNDS):
        hessian, gradient = reduced_energies(fitter, observations, states)
        smoothed = smooth(
            states.x.astype(np.float64),
            gradient,
            hessian,
            linked,
            weight,
            (prior.lower, prior.upper),
        )
        states.x[:] = smoothed
        posed = fit_frames(_with_fixed(fitter), observations, states, fixed=True)
    outcome.energy[:] = posed.energy
    outcome.status[:] = posed.status


def _with_fixed(fitter: Fitter) -> Fitter:
    """The fitter with bounds of its own, which `fit_frames` sets to a frame's coefficients."""
    prior = fitter.prior
    return fitter._replace(prior=prior._replace(lower=prior.lower.copy(), upper=prior.upper.copy()))
