"""The fit of one subject's frames, normalised: identity, focal length, then every frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from .fit_options import UNIT_ERROR, FitOptions, loss_of, priors_of
from .frame_arrays import new_scheme
from .frame_fits import FrameStates, Observations, Outcome, fit_frames
from .frame_sample import spread_sample
from .initial_pose import NormalisedLandmarks, Poses, weak_perspective
from .joint_identity import fit_subject
from .kernel_cache import ensure_compiled
from .levenberg_marquardt import CONVERGED
from .model_info import ARKIT_BASIS, expression_basis
from .morphable_model import MorphableModel
from .noise_level import for_error, landmark_error, ridge_energy
from .normal_equations import Fitter, Prior, Stop, new_fitter
from .point_model import PointModel, point_model, with_identity
from .reduced_energy import describe_frames, reduced_energies
from .temporal import smooth

Floats = NDArray[np.float64]

# Above this root mean square distance a fit is tried again from other poses; above this median
# distance it is no fit. In inter-ocular distances.
DOUBTFUL, HOPELESS = 0.06, 0.1
OTHER_YAWS = (-0.7, 0.7)
FOCAL_FRAMES = 40
FOCAL_RATIOS = (0.5, 2.5)  # of the focal length that was assumed
TEMPORAL_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Fitters:
    """A model made ready for options: fitters of all coefficients, and of the expression alone."""

    points: PointModel
    shapes: int
    blendshapes: bool
    options: FitOptions
    whole: Fitter
    joint: Fitter
    local: Fitter

    @classmethod
    def of(cls, model: MorphableModel, landmark_set: str, options: FitOptions) -> Fitters:
        """Reduce the model to the landmark set and allocate the kernels' arrays."""
        ensure_compiled()
        points = point_model(model, landmark_set, contour=options.contour, dtype=options.dtype)
        shapes = len(model.identity)
        loss, scheme = loss_of(options), new_scheme(curves=options.curves)
        blendshapes = expression_basis(model) == ARKIT_BASIS
        whole, local = priors_of(options, shapes, len(model.expression), blendshapes=blendshapes)
        stop = Stop(options.iterations, options.tolerance)
        own = with_identity(points, np.zeros(shapes))
        return cls(
            points=points,
            shapes=shapes,
            blendshapes=blendshapes,
            options=options,
            whole=new_fitter(points, scheme, loss, whole, stop),
            joint=new_fitter(points, scheme, loss, whole, stop, identity_last=True),
            local=new_fitter(own, scheme, loss, local, stop),
        )

    @property
    def shape_prior(self) -> Prior:
        """The prior of f_shape alone."""
        prior, shapes = self.joint.prior, self.shapes
        return prior._replace(
            weight=prior.weight[:shapes], mean=prior.mean[:shapes], precision=np.empty((0, 0))
        )

    def for_error(self, error: float) -> Fitters:
        """The same with the weights that a landmark's error asks for; NaN: with its own."""
        if np.isnan(error):
            return self

        def weighted(fitter: Fitter, shapes: int) -> Fitter:
            prior = for_error(fitter.prior, error, shapes, blendshapes=self.blendshapes)
            return fitter._replace(prior=prior)

        return replace(
            self,
            whole=weighted(self.whole, self.shapes),
            joint=weighted(self.joint, self.shapes),
            local=weighted(self.local, 0),
        )


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
    observations = Observations(part.target, np.sqrt(part.weight), focal / part.unit)
    if own_shapes and f_shape is None:
        return _fit_apart(fitters, part, observations)
    scale = 1.0
    if f_shape is None and fitters.options.estimate_focal:
        scale = _focal_scale(fitters, part, observations)
        observations = replace(observations, focal=scale * observations.focal)
    error = fitters.options.landmark_error if fitters.options.adapts else np.nan
    if error is None or f_shape is None:
        few, seen = _sample(part, observations, fitters.options.identity_frames)
        error, f_shape = _settle(fitters, few, seen, error, f_shape)
    fitters = fitters.for_error(error)
    fitter = fitters.local._replace(points=with_identity(fitters.points, f_shape))
    states = _start(fitter, part, observations)
    outcome = _fit_all(fitter, part, observations, states)
    if fitters.options.temporal > 0:
        _smooth(fitter, observations, states, outcome, linked, fitters.options.temporal)
    rms, median, deviation = describe_frames(fitter, observations, states, _unit(error))
    shape = np.broadcast_to(f_shape, (len(states.x), fitters.shapes))
    poses = Poses(states.rotation, states.translation)
    return GroupFit(shape, states.x, deviation, rms, median, poses, outcome, scale, error)


def _fit_apart(fitters: Fitters, part: NormalisedLandmarks, observations: Observations) -> GroupFit:
    """One identity a frame, the paper's way."""
    fitter = fitters.whole
    states = _start(fitter, part, observations)
    outcome = _fit_all(fitter, part, observations, states)
    rms, median, deviation = describe_frames(fitter, observations, states, UNIT_ERROR)
    shape, expression = states.x[:, : fitters.shapes], states.x[:, fitters.shapes :]
    poses = Poses(states.rotation, states.translation)
    return GroupFit(shape, expression, deviation, rms, median, poses, outcome, 1.0, np.nan)


def _start(fitter: Fitter, part: NormalisedLandmarks, observations: Observations) -> FrameStates:
    """Coefficients 0 (or the nearest within bounds) and the pose of that face."""
    poses = weak_perspective(part, observations.focal, fitter.points.mean)
    dtype = fitter.points.modes.dtype
    x = np.clip(np.zeros(fitter.points.coefficients), fitter.prior.lower, fitter.prior.upper)
    return FrameStates(
        np.tile(x.astype(dtype), (len(observations.focal), 1)), poses.rotation, poses.translation
    )


def _fit_all(
    fitter: Fitter, part: NormalisedLandmarks, observations: Observations, states: FrameStates
) -> Outcome:
    """Fit every frame; where that went badly, also from poses turned to both sides."""
    outcome = fit_frames(fitter, observations, states)
    limit = len(part.target[0]) * DOUBTFUL**2
    doubtful = np.flatnonzero((outcome.status != CONVERGED) | (outcome.energy > limit))
    for yaw in OTHER_YAWS if len(doubtful) else ():
        some = observations.rows(doubtful)
        trial = _start(fitter, part.rows(doubtful), some)
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


def _sample(
    part: NormalisedLandmarks, observations: Observations, count: int
) -> tuple[NormalisedLandmarks, Observations]:
    """A few frames that stand for all; frames with a missing landmark only if all have one."""
    chosen = spread_sample(part.target, count)
    if len(chosen) == 0:
        chosen = np.argsort(-(part.weight > 0).sum(1), kind="stable")[:count]
    return part.rows(chosen), observations.rows(chosen)


def _settle(
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
    if f_shape is None:
        shape, states, energy = _fit_sample(fitters, few, seen, shape)
        energy -= float(ridge_energy(fitters.shape_prior, shape[None])[0])
        local = fitters.local._replace(points=with_identity(fitters.points, shape))
    else:
        states = _start(local, few, seen)
        reached = _fit_all(local, few, seen, states).energy
        energy = float(reached[np.isfinite(reached)].sum())
    energy -= float(np.nansum(ridge_energy(local.prior, states.x)))
    known = fitters.shapes if f_shape is None else 0
    return landmark_error(local, seen, states, energy, known), shape


def _unit(error: float) -> float:
    return UNIT_ERROR if np.isnan(error) else error


def _fit_sample(
    fitters: Fitters, few: NormalisedLandmarks, seen: Observations, f_shape: Floats
) -> tuple[Floats, FrameStates, float]:
    states = _start(fitters.local, few, seen)
    return fit_subject(fitters.local, fitters.joint, seen, f_shape, states)


def _focal_scale(fitters: Fitters, part: NormalisedLandmarks, observations: Observations) -> float:
    """The factor of the assumed focal length that lets one identity explain the frames best."""
    few, seen = _sample(part, observations, FOCAL_FRAMES)

    def energy(log_scale: float) -> float:
        scaled = replace(seen, focal=float(np.exp(log_scale)) * seen.focal)
        return _fit_sample(fitters, few, scaled, np.zeros(fitters.shapes))[2]

    low, high = np.log(FOCAL_RATIOS)
    best = minimize_scalar(energy, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(best.x))


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
