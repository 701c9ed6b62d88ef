"""Fit a morphable model to 68 landmarks (Eq. 3): one frame or thousands, one identity a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from .camera import Camera, rotation_vector
from .frame_fits import FrameStates, Observations, Outcome, fit_frames
from .frame_residuals import GEMAN_MCCLURE, HUBER, PLAIN, Loss, new_scheme
from .initial_pose import NormalisedLandmarks, Poses, normalise, weak_perspective
from .joint_identity import fit_subject
from .landmark_scheme import COUNT
from .levenberg_marquardt import CONVERGED
from .morphable_model import MorphableModel
from .normal_equations import Fitter, Prior, Stop, new_fitter
from .point_model import PointModel, landmark_places, point_model, with_identity
from .uncertainty import describe_frames

Floats = NDArray[np.float64]

# The error of a landmark's coordinate, in inter-ocular distances, for which Eq. 3's weight of 1e-4
# is that of a coefficient of unit variance.
UNIT_ERROR = 0.01
SHAPE_BOUND = 3.0
ROBUST_KINDS = {None: PLAIN, "huber": HUBER, "geman-mcclure": GEMAN_MCCLURE}


@dataclass(frozen=True, eq=False)
class FitOptions:
    """How Eq. 3 is set up and solved.

    bounds: f_exp within [0, 1] and f_shape within [-3, 3]. regularisation: weights of |f_exp|^2 and
    |f_shape|^2. curves: sliding landmarks are compared with the detected curve, else with the
    detected point. contour: jaw landmarks move to the visible contour. robust: None, ``huber`` or
    ``geman-mcclure`` with robust_scale in inter-ocular distances. noise_covariance: (136, 136) of
    the detector's errors, squared inter-ocular distances, face level. expression_mean: (e,) and
    expression_precision: (e, e), a prior of f_exp added to the ridge. identity_frames: most frames
    from which a subject's identity is taken. iterations, tolerance: of Levenberg-Marquardt.
    """

    bounds: bool = True
    regularisation: tuple[float, float] = (1e-4, 1e-4)
    curves: bool = True
    contour: bool = True
    robust: Literal["huber", "geman-mcclure"] | None = None
    robust_scale: float = 0.02
    noise_covariance: Floats | None = None
    expression_mean: Floats | None = None
    expression_precision: Floats | None = None
    identity_frames: int = 200
    iterations: int = 50
    tolerance: float = 1e-4
    dtype: type[np.floating] = np.float32


@dataclass(frozen=True, eq=False)
class Fit:
    """Fits of n frames; NaN and not converged where a frame could not be fitted.

    f_exp: (n, e) float32; f_exp_std: (n, e) float32 standard deviations (see uncertainty).
    f_shape: (n, s) float32. pose: (n, 6) float64 rotation vector (radians) and translation
    (decimetres). energy: (n,) float32, Eq. 3 in squared inter-ocular distances; with one identity a
    subject without the identity's share. rmse: (n,) float32, root mean square D in pixels, and
    rmse_iod in inter-ocular distances. iterations: (n,) int32. converged: (n,) bool.
    """

    model: MorphableModel
    camera: Camera
    landmark_set: str
    f_exp: NDArray[np.float32]
    f_exp_std: NDArray[np.float32]
    f_shape: NDArray[np.float32]
    pose: Floats
    energy: NDArray[np.float32]
    rmse: NDArray[np.float32]
    rmse_iod: NDArray[np.float32]
    iterations: NDArray[np.int32]
    converged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.f_exp)

    def mesh(self, index: int) -> NDArray[np.float32]:
        """The fitted mesh of a frame, (n, 3) float32 decimetres, model coordinates."""
        return self.model.shape(self.f_shape[index], self.f_exp[index])

    def project(self, index: int) -> Floats:
        """The fitted landmarks of a frame in the image, (68, 2) float64 source pixels."""
        pose = self.pose[index]
        places = landmark_places(self.model, self.mesh(index), pose, self.landmark_set)
        return self.camera.project(places, pose)

    def project_mesh(self, index: int) -> Floats:
        """The fitted mesh of a frame in the image, (n, 2) float64 source pixels."""
        return self.camera.project(self.mesh(index), self.pose[index])


def fit(
    landmarks: ArrayLike,
    model: MorphableModel,
    *,
    image_size: tuple[int, int],
    focal: float | None = None,
    landmark_set: str = "anatomical",
    identity: Literal["subject", "frame"] = "subject",
    subject: ArrayLike | None = None,
    f_shape: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    options: FitOptions | None = None,
) -> Fit:
    """Fit identity, expression and pose to landmarks (Eq. 3).

    landmarks: (n, 68, 2) or (68, 2), source pixels, NaN where missing. image_size: (width,
    height); focal: pixels, by default 1.5 x the longer side. landmark_set: which points of the
    model are compared. identity: one f_shape for all frames of a subject, or one a frame (the
    paper's). subject: (n,) labels, by default all frames are of one. f_shape: (s,) a known
    identity, which is then kept. weights: (n, 68) confidences, 0 for missing.

    Raises UsageError for wrong shapes or options, DataError for a model without the landmark set.
    """
    options = options or FitOptions()
    points, weight = _checked(landmarks, weights)
    if landmark_set not in model.landmarks:
        raise DataError(
            f"model {model.name}: has no landmarks {landmark_set!r}; it has "
            f"{', '.join(sorted(model.landmarks)) or 'none'}"
        )
    if identity not in ("subject", "frame"):
        raise UsageError(f"identity {identity!r}: give 'subject' or 'frame'")
    camera = Camera.for_image(*image_size, focal)
    session = _Session.of(model, landmark_set, options)
    normalised = normalise(points, weight, camera, session.points.mean)
    result = _empty_fit(model, camera, landmark_set, len(points))
    groups = _groups(subject, len(points))
    for members in groups:
        rows = members[normalised.usable[members]]
        if len(rows):
            _fit_group(session, result, normalised, rows, identity, f_shape)
    return result


@dataclass(frozen=True, eq=False)
class _Session:
    """A model and options made ready: fitters of all coefficients, and of the expression alone."""

    points: PointModel
    shape_count: int
    options: FitOptions
    whole: Fitter
    joint: Fitter
    local: Fitter

    @classmethod
    def of(cls, model: MorphableModel, landmark_set: str, options: FitOptions) -> _Session:
        points = point_model(model, landmark_set, contour=options.contour, dtype=options.dtype)
        shapes = len(model.identity)
        loss = _loss(options)
        whole, local = _priors(options, shapes, len(model.expression))
        scheme, stop = (
            new_scheme(curves=options.curves),
            Stop(options.iterations, options.tolerance),
        )
        own = with_identity(points, np.zeros(shapes))
        return cls(
            points=points,
            shape_count=shapes,
            options=options,
            whole=new_fitter(points, scheme, loss, whole, stop),
            joint=new_fitter(points, scheme, loss, whole, stop, identity_last=True),
            local=new_fitter(own, scheme, loss, local, stop),
        )


def _loss(options: FitOptions) -> Loss:
    if options.robust not in ROBUST_KINDS:
        raise UsageError(f"robust {options.robust!r}: give None, 'huber' or 'geman-mcclure'")
    covariance = np.empty((0, 0))
    if options.noise_covariance is not None:
        if options.robust is not None:
            raise UsageError("robust and noise_covariance exclude each other; give one of them")
        covariance = np.ascontiguousarray(options.noise_covariance, np.float64)
        if covariance.shape != (2 * COUNT, 2 * COUNT):
            raise UsageError(f"noise_covariance: shape {covariance.shape}, expected (136, 136)")
    return Loss(ROBUST_KINDS[options.robust], options.robust_scale, covariance, UNIT_ERROR)


def _priors(options: FitOptions, shapes: int, expressions: int) -> tuple[Prior, Prior]:
    """Priors of all coefficients and of the expression alone."""
    on_expression, on_shape = options.regularisation
    mean, precision = np.zeros(expressions), np.empty((0, 0))
    if options.expression_mean is not None:
        mean = np.asarray(options.expression_mean, np.float64)
    if options.expression_precision is not None:
        precision = np.ascontiguousarray(options.expression_precision, np.float64)
    if mean.shape != (expressions,) or precision.shape not in ((0, 0), (expressions, expressions)):
        raise UsageError(f"expression prior: mean {mean.shape}, precision {precision.shape}")
    low, high, bound = (0.0, 1.0, SHAPE_BOUND) if options.bounds else (-np.inf, np.inf, np.inf)
    local = Prior(
        weight=np.full(expressions, float(on_expression)),
        mean=mean,
        lower=np.full(expressions, low),
        upper=np.full(expressions, high),
        precision=precision,
        identity=0,
    )
    shape = np.full(shapes, float(on_shape)), np.zeros(shapes), np.full(shapes, bound)
    whole = Prior(
        weight=np.concatenate([shape[0], local.weight]),
        mean=np.concatenate([shape[1], local.mean]),
        lower=np.concatenate([-shape[2], local.lower]),
        upper=np.concatenate([shape[2], local.upper]),
        precision=precision,
        identity=shapes,
    )
    return whole, local


def _checked(landmarks: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    points = np.asarray(landmarks, np.float64)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[1:] != (COUNT, 2):
        raise UsageError(f"landmarks: shape {points.shape}, expected (n, {COUNT}, 2)")
    if weights is None:
        return points, np.ones(points.shape[:2])
    weight = np.asarray(weights, np.float64)
    weight = weight[None] if weight.ndim == 1 else weight
    if weight.shape != points.shape[:2] or not (weight >= 0).all():
        raise UsageError(
            f"weights: shape {weight.shape}, expected {points.shape[:2]}, none negative"
        )
    return points, weight


def _groups(subject: ArrayLike | None, count: int) -> list[NDArray[np.intp]]:
    if subject is None:
        return [np.arange(count)]
    labels = np.asarray(subject)
    if labels.shape != (count,):
        raise UsageError(f"subject: shape {labels.shape}, expected ({count},)")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _empty_fit(model: MorphableModel, camera: Camera, landmark_set: str, count: int) -> Fit:
    def nan(*shape: int) -> NDArray[np.float32]:
        return np.full((count, *shape), np.nan, np.float32)

    expressions = len(model.expression)
    return Fit(
        model=model,
        camera=camera,
        landmark_set=landmark_set,
        f_exp=nan(expressions),
        f_exp_std=nan(expressions),
        f_shape=nan(len(model.identity)),
        pose=np.full((count, 6), np.nan),
        energy=nan(),
        rmse=nan(),
        rmse_iod=nan(),
        iterations=np.zeros(count, np.int32),
        converged=np.zeros(count, np.bool_),
    )


def _fit_group(
    session: _Session,
    result: Fit,
    normalised: NormalisedLandmarks,
    rows: NDArray[np.intp],
    identity: str,
    f_shape: ArrayLike | None,
) -> None:
    """Fit the frames `rows`, all of one subject, and fill them into the result."""
    part = NormalisedLandmarks(
        *(
            getattr(normalised, name)[rows]
            for name in ("target", "weight", "unit", "roll", "usable")
        )
    )
    observations = Observations(part.target, np.sqrt(part.weight), result.camera.focal / part.unit)
    poses = weak_perspective(part, observations.focal, session.points.mean)
    dtype, shapes = session.options.dtype, session.shape_count
    if identity == "frame" and f_shape is None:
        states = FrameStates(
            np.zeros((len(rows), session.points.coefficients), dtype), poses.rotation, poses.translation
        )
        fitter = session.whole
        outcome = fit_frames(fitter, observations, states)
        shape, expression = states.x[:, :shapes], states.x[:, shapes:]
    else:
        states = FrameStates(
            np.zeros((len(rows), session.points.coefficients - shapes), dtype),
            poses.rotation,
            poses.translation,
        )
        known = None if f_shape is None else np.asarray(f_shape, np.float64)
        if known is not None and known.shape != (shapes,):
            raise UsageError(f"f_shape: shape {known.shape}, expected ({shapes},)")
        own = _identity(session, observations, states) if known is None else known
        fitter = session.local._replace(points=with_identity(session.points, own))
        outcome = fit_frames(fitter, observations, states)
        shape, expression = np.broadcast_to(own, (len(rows), shapes)), states.x
    rms, deviation = describe_frames(fitter, observations, states, UNIT_ERROR)
    _fill(result, rows, part, states, outcome, rms)
    result.f_exp[rows], result.f_shape[rows] = expression, shape
    result.f_exp_std[rows] = deviation
    result.f_exp[rows[~result.converged[rows]]] = np.nan


def _identity(session: _Session, observations: Observations, states: FrameStates) -> Floats:
    """The identity of a subject from a well-spread sample of its frames."""
    sample = well_spread(observations.target, session.options.identity_frames)
    chosen = Observations(
        observations.target[sample], observations.root_weight[sample], observations.focal[sample]
    )
    start = FrameStates(states.x[sample], states.rotation[sample], states.translation[sample])
    shape, _ = fit_subject(
        session.local, session.joint, chosen, np.zeros(session.shape_count), start
    )
    states.x[sample], states.rotation[sample] = start.x, start.rotation
    states.translation[sample] = start.translation
    return shape


def well_spread(target: Floats, count: int) -> NDArray[np.intp]:
    """Frames that cover the landmarks' variety: each next one lies farthest from those before.

    target: (n, 68, 2) normalised, NaN where missing. Returns at most `count` indices, ascending.
    """
    if len(target) <= count:
        return np.arange(len(target))
    middle = np.nanmean(target, axis=1, keepdims=True)
    flat = np.nan_to_num((target - middle).reshape(len(target), -1))
    centre = np.median(flat, axis=0)
    nearest = ((flat - centre) ** 2).sum(1)
    # The farthest tenth may be failures of the detector: it takes no part.
    allowed = nearest <= np.quantile(nearest, 0.9)
    chosen = [int(nearest.argmin())]
    distance = np.full(len(target), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((flat - flat[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(np.where(allowed, distance, -1.0).argmax()))
    return np.array(sorted(set(chosen)))


def _fill(
    result: Fit,
    rows: NDArray[np.intp],
    part: NormalisedLandmarks,
    states: FrameStates,
    outcome: Outcome,
    rms: Floats,
) -> None:
    poses = Poses(states.rotation, states.translation).turned(part.roll)
    result.pose[rows] = np.concatenate([rotation_vector(poses.rotation), poses.translation], axis=1)
    result.energy[rows] = outcome.energy
    result.rmse_iod[rows] = rms
    result.rmse[rows] = rms * part.unit
    result.iterations[rows] = outcome.iterations
    result.converged[rows] = (outcome.status == CONVERGED) & np.isfinite(rms)
