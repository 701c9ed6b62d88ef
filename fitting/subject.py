"""One subject: sample, landmark error, focal length, identity, then every frame.

What all frames of a subject share (focal length, identity, the error of the landmarks) is estimated
from a sample of frames that stand for all; then every frame is fitted by itself. The file reads
from `fit_group` down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from .fitters import Fitters, landmark_error, residuals_seen, ridge_energy
from .initial_pose import NormalisedLandmarks, Poses, spread_sample, weak_perspective
from .morphable_model.landmark_scheme import COUNT
from .options import UNIT_ERROR
from .solver.fitter import Fitter
from .solver.frame_quadratics import frame_deviations
from .solver.joint_identity import fit_joint_identity
from .solver.levenberg_marquardt import CONVERGED, FitResult, fit_frames
from .solver.problem import ABSOLUTE, CONTOUR_LANDMARKS, JAW, Frames, State, with_identity
from .solver.temporal import smooth
from .solver.uncertainty import describe_frames, reduced_energies
from .visibility import return_hidden
from .witness import Witness, fuse

Floats = NDArray[np.float64]

# Above this median distance, in inter-ocular distances, it is no fit.
HOPELESS = 0.1
# Above this root mean square distance, in inter-ocular distances, a fit is tried again from the
# initial pose turned by these angles about the vertical, radians.
DOUBTFUL = 0.06
OTHER_YAWS = (-0.7, 0.7)
# Frames with identities of their own from which the error of landmarks is estimated.
APART_FRAMES = 64
# No smaller error of a landmark, inter-ocular distances, where every frame has its own identity:
# with weaker weights a few fits do not settle.
LEAST_ERROR_APART = 0.003
FOCAL_FRAMES = 40
FOCAL_RATIOS = (0.5, 2.5)  # of the focal length that was assumed
TEMPORAL_ROUNDS = 2
# Share of its energy that a fit may be off of which only the landmarks' error is asked: that is
# then off by half as much.
ROUGHLY = 1e-3


@dataclass(frozen=True, eq=False)
class SubjectFrames:
    """n usable frames of one subject, as landmarks and as the kernels read them.

    Attributes
    ----------
    landmarks : NormalisedLandmarks of the n frames
    data : Frames of the same
    """

    landmarks: NormalisedLandmarks
    data: Frames

    @classmethod
    def of(cls, landmarks: NormalisedLandmarks, focal: float) -> SubjectFrames:
        """Frames seen by one camera.

        Parameters
        ----------
        landmarks : all usable
        focal : pixels
        """
        root_weight = np.sqrt(landmarks.weight) * landmarks.scale[:, None]
        free = np.full((len(landmarks.unit), JAW), -1, np.int32)
        focals = focal / landmarks.unit
        data = Frames(landmarks.target, root_weight, focals, landmarks.yaw_range, free)
        return cls(landmarks, data)

    def rows(self, chosen: NDArray[np.integer]) -> SubjectFrames:
        """Some of the frames.

        Parameters
        ----------
        chosen : (m,) int, their indices
        """
        return SubjectFrames(self.landmarks.rows(chosen), self.data.rows(chosen))

    def zoomed(self, scale: float) -> SubjectFrames:
        """The same seen by a camera of another focal length.

        Parameters
        ----------
        scale : factor of the focal length
        """
        return replace(self, data=self.data._replace(focal=scale * self.data.focal))


@dataclass(frozen=True, eq=False)
class GroupFit:
    """Fits of m frames.

    Attributes
    ----------
    shape : (m, s) float, f_shape
    expression : (m, e) float, f_exp
    deviation : (m, e) float64, standard deviations of f_exp
    rms, median : (m,) float64, of D over the landmarks, inter-ocular distances
    poses : of the m frames, level
    result : energy, iterations and status
    focal_scale : factor of the focal length that was assumed
    error : of a landmark's coordinate, inter-ocular distances; NaN where it was not asked for
    rules_share : how far the person keeps to the prior's rules; NaN without a second witness
    """

    shape: NDArray[np.floating]
    expression: NDArray[np.floating]
    deviation: Floats
    rms: Floats
    median: Floats
    poses: Poses
    result: FitResult
    focal_scale: float
    error: float
    rules_share: float = np.nan

    @property
    def converged(self) -> NDArray[np.bool_]:
        """(m,) whether the solver settled at a fit worth the name."""
        return np.asarray((self.result.status == CONVERGED) & (self.median < HOPELESS))


def fit_group(
    fitters: Fitters,
    landmarks: NormalisedLandmarks,
    focal: float,
    f_shape: Floats | None,
    *,
    own_shapes: bool,
    linked: NDArray[np.bool_],
    witness: Witness | None = None,
    visibility: Floats | None = None,
) -> GroupFit:
    """Fit frames that are all usable and of one subject.

    Parameters
    ----------
    fitters : the model made ready for the options
    landmarks : of the m frames
    focal : pixels
    f_shape : (s,) float64, a known identity, or None
    own_shapes : one identity a frame
    linked : (m,) bool, whether a frame follows the one before it in time
    witness : of the m frames, heard where they have one identity
    visibility : (m, 7) float64, how far each part of a face is seen, see visibility.py

    Returns
    -------
    GroupFit
    """
    frames = SubjectFrames.of(landmarks, focal)
    if own_shapes and f_shape is None:
        found = _fit_apart(fitters, frames)
    else:
        found = _fit_together(fitters, frames, f_shape, linked, witness)
    prior = fitters.local.prior
    if visibility is None or not prior.precision.size:
        return found
    expression, deviation = return_hidden(found.expression, found.deviation, visibility, prior)
    return replace(found, expression=expression, deviation=deviation)


def _fit_together(
    fitters: Fitters,
    frames: SubjectFrames,
    f_shape: Floats | None,
    linked: NDArray[np.bool_],
    witness: Witness | None,
) -> GroupFit:
    """One identity for all frames, estimated or known."""
    scale, error, f_shape = shared_by_frames(fitters, frames, f_shape)
    frames = frames.zoomed(scale)
    fitters = fitters.for_error(error)
    fitter = fitters.local._replace(points=with_identity(fitters.points, f_shape))
    states = start(fitter, frames)
    result = fit_all(fitter, frames, states)
    if fitters.options.temporal > 0:
        _smooth(fitter, frames.data, states, result, linked, fitters.options.temporal)
    shape = np.broadcast_to(f_shape, (len(states.x), fitters.shapes))
    energies = reduced_energies(fitter, frames.data, states)
    rms, median, deviation = describe_frames(energies, _units(fitter, frames, error))
    poses = Poses(states.rotation, states.translation)
    found = GroupFit(shape, states.x, deviation, rms, median, poses, result, scale, error)
    if witness is None:
        return found
    fused = fuse(
        states.x,
        deviation,
        energies.hessian,
        energies.gradient,
        fitter.prior,
        _unit(error),
        witness,
    )
    # Pose, energy and distances stay those of the landmarks' own fit.
    return replace(
        found,
        expression=fused.expression,
        deviation=fused.deviation,
        rules_share=fused.rules_share,
    )


def _fit_apart(fitters: Fitters, frames: SubjectFrames) -> GroupFit:
    """One identity a frame, as in the paper."""
    error = fitters.options.landmark_error if fitters.options.adapts else np.nan
    if error is None:
        error = error_apart(fitters, sample_frames(frames, APART_FRAMES))
    fitter = fitters.for_error(error).whole
    states = start(fitter, frames)
    result = fit_all(fitter, frames, states)
    reduced, units = reduced_energies(fitter, frames.data, states), _units(fitter, frames, error)
    rms, median, deviation = describe_frames(reduced, units)
    shape, expression = np.hsplit(states.x, [fitters.shapes])
    poses = Poses(states.rotation, states.translation)
    last = deviation[:, -expression.shape[1] :]
    return GroupFit(shape, expression, last, rms, median, poses, result, 1.0, error)


def _unit(error: float) -> float:
    return UNIT_ERROR if np.isnan(error) else error


def _units(fitter: Fitter, frames: SubjectFrames, error: float) -> Floats:
    """What turns half the Hessian H of energies into deviations, (n,) float64.

    exp(-E / (2 u^2)) has the covariance u^2 H^-1; that of distances, exp(-E / u), has u / 2 H^-1.
    """
    scaled = _unit(error) * frames.landmarks.scale
    return np.sqrt(0.5 * scaled) if fitter.loss.kind == ABSOLUTE else scaled


def start(fitter: Fitter, frames: SubjectFrames) -> State:
    """Where fits begin: coefficients 0, or the nearest within bounds, and the pose of that face.

    Parameters
    ----------
    fitter : of the frames
    frames : n of one subject

    Returns
    -------
    State
        of the n frames
    """
    poses = weak_perspective(frames.landmarks, frames.data.focal, fitter.points.mean)
    dtype = fitter.points.modes.dtype
    x = np.clip(np.zeros(fitter.points.coefficients), fitter.prior.lower, fitter.prior.upper)
    each = np.tile(x.astype(dtype), (len(frames.data.focal), 1))
    return State(each, poses.rotation, poses.translation)


def fit_all(fitter: Fitter, frames: SubjectFrames, states: State) -> FitResult:
    """Fit every frame; where that went badly, also from poses turned to both sides.

    Parameters
    ----------
    fitter : of the frames
    frames : n of one subject
    states : start of each, overwritten by the solutions

    Returns
    -------
    FitResult
        of the better fit of each frame; the iterations are those of all its fits
    """
    result = fit_frames(fitter, frames.data, states)
    # A dense point counts as much as it weighs.
    scale = frames.landmarks.scale
    each = DOUBTFUL * scale if fitter.loss.kind == ABSOLUTE else (DOUBTFUL * scale) ** 2
    limit = (COUNT + frames.landmarks.weight[:, COUNT:].sum(1)) * each
    doubtful = np.flatnonzero((result.status != CONVERGED) | (result.energy > limit))
    for yaw in OTHER_YAWS if len(doubtful) else ():
        some = frames.rows(doubtful)
        trial = start(fitter, some)
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        trial.rotation[:] = trial.rotation @ turn
        again = fit_frames(fitter, some.data, trial)
        better = (again.energy < result.energy[doubtful]) & (again.status == CONVERGED)
        rows = doubtful[better]
        states.x[rows], states.rotation[rows] = trial.x[better], trial.rotation[better]
        states.translation[rows] = trial.translation[better]
        result.energy[rows], result.status[rows] = again.energy[better], again.status[better]
        result.iterations[doubtful] += again.iterations
    return result


def _smooth(
    fitter: Fitter,
    frames: Frames,
    states: State,
    result: FitResult,
    linked: NDArray[np.bool_],
    weight: float,
) -> None:
    """Replace f_exp by the sequence's minimum, then fit the pose to it."""
    bounds = fitter.prior.lower, fitter.prior.upper
    for _ in range(TEMPORAL_ROUNDS):
        hessian, gradient, _ = reduced_energies(fitter, frames, states)
        x = states.x.astype(np.float64)
        states.x[:] = smooth(x, gradient, hessian, linked, weight, bounds)
        posed = fit_frames(_with_own_bounds(fitter), frames, states, fixed=True)
    result.energy[:] = posed.energy
    result.status[:] = posed.status


def _with_own_bounds(fitter: Fitter) -> Fitter:
    """The fitter with bounds of its own, which `fit_frames` sets to a frame's coefficients."""
    prior = fitter.prior
    return fitter._replace(prior=prior._replace(lower=prior.lower.copy(), upper=prior.upper.copy()))


def focal_scale(fitters: Fitters, frames: SubjectFrames) -> float:
    """The factor of the assumed focal length that lets one identity explain the frames best.

    Landmarks on the cheeks' contour are left out: the energy jumps where one moves to another
    place, and its minimum by the focal length, which is flat, is lost among the jumps.

    Parameters
    ----------
    fitters : the model made ready for the options
    frames : of the subject, with the assumed focal length
    """
    sample = sample_frames(frames, FOCAL_FRAMES)
    if fitters.options.contour:
        weight = sample.data.root_weight.copy()
        weight[:, list(CONTOUR_LANDMARKS)] = 0.0
        sample = replace(sample, data=sample.data._replace(root_weight=weight))

    def energy(log_scale: float) -> float:
        zoomed = sample.zoomed(float(np.exp(log_scale)))
        return _fit_sample(fitters, zoomed, np.zeros(fitters.shapes))[2]

    low, high = np.log(FOCAL_RATIOS)
    best = minimize_scalar(energy, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(best.x))


def shared_by_frames(
    fitters: Fitters, frames: SubjectFrames, f_shape: Floats | None
) -> tuple[float, float, Floats]:
    """What all frames of a subject share.

    Parameters
    ----------
    fitters : the model made ready for the options, with the paper's weights
    frames : of the subject, with the assumed focal length
    f_shape : (s,) float64, a known identity, or None

    Returns
    -------
    tuple
        factor of the assumed focal length, error of a landmark's coordinate in inter-ocular
        distances (NaN where it is not asked for), and f_shape (s,) float64
    """
    scale = 1.0
    if f_shape is None and fitters.options.estimate_focal:
        scale = focal_scale(fitters, frames)
        frames = frames.zoomed(scale)
    error = fitters.options.landmark_error if fitters.options.adapts else np.nan
    if error is None or f_shape is None:
        sample = sample_frames(frames, fitters.options.identity_frames)
        error, f_shape = estimate_identity(fitters, sample, error, f_shape)
    return scale, error, f_shape


def estimate_identity(
    fitters: Fitters, sample: SubjectFrames, error: float | None, f_shape: Floats | None
) -> tuple[float, Floats]:
    """What is not known yet of a landmark's error and f_shape, from frames that stand for all.

    Parameters
    ----------
    fitters : the model made ready for the options, with the paper's weights
    sample : frames of the subject
    error : of a landmark's coordinate, inter-ocular distances; NaN: the weights are given; None: to
        be estimated
    f_shape : (s,) float64, or None to estimate it

    Returns
    -------
    tuple
        the error, and f_shape (s,) float64
    """
    first, states = np.zeros(fitters.shapes), None
    if error is None:
        error, first, states = _error_and_shape(fitters, sample, f_shape)
    if f_shape is None:
        f_shape, _, _ = _fit_sample(fitters.for_error(error), sample, first, states)
    return error, f_shape


def _error_and_shape(
    fitters: Fitters, sample: SubjectFrames, f_shape: Floats | None
) -> tuple[float, Floats, State]:
    """A landmark's error, f_shape and the frames' states, with the paper's weights.

    Of an identity that is fitted too, no more than the error is asked for: it is fitted roughly.
    """
    shape = np.zeros(fitters.shapes) if f_shape is None else f_shape
    local = fitters.local._replace(points=with_identity(fitters.points, shape))
    shared = 0
    if f_shape is None:
        shape, states, energy = _fit_sample(fitters, sample, shape, tolerance=ROUGHLY)
        energy -= float(ridge_energy(fitters.shape_prior, shape[None])[0])
        local = fitters.local._replace(points=with_identity(fitters.points, shape))
        shared = fitters.shapes
    else:
        states = start(local, sample)
        reached = fit_all(local, sample, states).energy
        energy = float(reached[np.isfinite(reached)].sum())
    deviation = frame_deviations(reduced_energies(local, sample.data, states).hessian, 1.0)
    return _error(local, sample.data, states, deviation, energy, shared), shape, states


def error_apart(fitters: Fitters, sample: SubjectFrames) -> float:
    """A landmark's error from frames that each have an identity of their own.

    Twice: the first time the paper's weights leave much that is not error of the landmarks.

    Parameters
    ----------
    fitters : the model made ready for the options, with the paper's weights
    sample : frames of the subject

    Returns
    -------
    float
        standard deviation of a coordinate, inter-ocular distances
    """
    error = np.nan
    for _ in range(2):
        weighted = fitters.for_error(error)
        states = start(weighted.whole, sample)
        reached = fit_all(weighted.whole, sample, states).energy
        energy = float(reached[np.isfinite(reached)].sum())
        shape, last = (
            frame_deviations(reduced_energies(one, sample.data, states).hessian, 1.0)
            for one in (weighted.joint, weighted.whole)
        )
        deviation = np.hstack([shape, last[:, fitters.shapes - states.x.shape[1] :]])
        error = _error(weighted.whole, sample.data, states, deviation, energy, 0)
        error = max(error, LEAST_ERROR_APART)
    return error


def _error(
    fitter: Fitter,
    sample: Frames,
    states: State,
    deviation: Floats,
    energy: float,
    shared: int,
) -> float:
    good = np.isfinite(states.x).all(axis=1)
    x = states.x[good]
    left = energy - float(ridge_energy(fitter.prior, x).sum())
    rows = residuals_seen(fitter.scheme, sample.root_weight[good])
    return landmark_error(fitter.prior, x, deviation[good], rows, left, shared)


def _fit_sample(
    fitters: Fitters,
    sample: SubjectFrames,
    f_shape: Floats,
    states: State | None = None,
    tolerance: float | None = None,
) -> tuple[Floats, State, float]:
    if states is None:
        states = start(fitters.local, sample)
    return fit_joint_identity(fitters.local, fitters.joint, sample.data, f_shape, states, tolerance)


def sample_frames(frames: SubjectFrames, count: int) -> SubjectFrames:
    """Frames that stand for all; one with a missing landmark only if all have one.

    Parameters
    ----------
    frames : of a subject
    count : most frames of the sample
    """
    landmarks = frames.landmarks
    chosen = spread_sample(landmarks.target, count)
    if len(chosen) == 0:
        chosen = np.argsort(-(landmarks.weight > 0).sum(1), kind="stable")[:count]
    return frames.rows(chosen)
