"""One subject: sample, landmark error, focal length, identity, then every frame.

The fit of one subject's frames, normalised: identity, focal length, then every frame.

What a sample of a subject's frames tells: identity, focal length, the landmarks' error.

Fits of frames from nothing: a pose to start from, and others where that goes badly.

A few frames that stand for many: spread over poses and expressions, the same ones each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from .fitters import Fitters, landmark_error, residuals_seen, ridge_energy
from .initial_pose import NormalisedLandmarks, Poses, weak_perspective
from .morphable_model.landmark_scheme import COUNT, OUTER_EYE_CORNERS
from .options import UNIT_ERROR
from .solver.joint_identity import fit_subject
from .solver.levenberg_marquardt import CONVERGED, FrameStates, Observations, Outcome, fit_frames
from .solver.normal_equations import Fitter
from .solver.problem import with_identity
from .solver.temporal import smooth
from .solver.uncertainty import describe_frames, reduced_energies

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


# Share of the frames farthest from the middle that is left out: mostly failed landmarks.
_OUTLIERS = 0.03


def spread_sample(landmarks: ArrayLike, count: int) -> NDArray[np.int64]:
    """Indices of up to `count` frames, ascending, that lie far apart in pose and expression.

    Farthest point sampling on the landmarks without position, size and tilt, from the frame nearest
    to the middle on.

    landmarks: (n, 68, 2), any unit; frames with NaN are never chosen.
    """
    landmarks = np.asarray(landmarks, np.float64)
    usable = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    if len(usable) <= count:
        return usable
    shapes = _normalised(landmarks[usable])
    distance = ((shapes - np.median(shapes, axis=0)) ** 2).sum(1)
    inner = np.argsort(distance, kind="stable")[: max(count, round(len(usable) * (1 - _OUTLIERS)))]
    inner.sort()
    shapes, distance = shapes[inner], distance[inner]
    chosen = [int(np.argmin(distance))]
    nearest = ((shapes - shapes[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((shapes - shapes[chosen[-1]]) ** 2).sum(1))
    return np.unique(usable[inner[chosen]])


def _normalised(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks (n, 68, 2) centred, of unit size, the eye line level -> (n, 136)."""
    shapes = landmarks - landmarks.mean(1, keepdims=True)
    shapes /= np.sqrt((shapes**2).sum((1, 2), keepdims=True)) + 1e-12
    right, left = OUTER_EYE_CORNERS
    eyes = shapes[:, left] - shapes[:, right]
    angle = np.arctan2(eyes[:, 1], eyes[:, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    level = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], 1)
    turned = np.einsum("nij,nkj->nki", level, shapes)
    return np.asarray(turned.reshape(len(turned), -1))
