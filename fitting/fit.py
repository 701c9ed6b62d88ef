"""Fit a morphable model to 68 landmarks (Eq. 3): one frame or thousands, one identity a subject.

`fit` checks what it is given, normalises the landmarks, and fits subject after subject
(subject.py); the kernels lie in solver/.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from .camera import Camera, rotation_vector
from .dense_points import DenseObservations, DensePoints
from .fitters import Fitters
from .initial_pose import NormalisedLandmarks, normalise
from .morphable_model.landmark_noise import LandmarkNoise, yaw_ranges
from .morphable_model.landmark_scheme import ARKIT_NAMES, COUNT
from .morphable_model.morphable_model import MorphableModel
from .options import ExpressionPrior, FitOptions
from .solver.problem import landmark_places
from .subject import GroupFit, SubjectFrames, fit_group, shared_by_frames
from .visibility import checked_visibility, landmark_weights
from .witness import Witness

__all__ = [
    "Camera",
    "DenseObservations",
    "ExpressionPrior",
    "Fit",
    "FitOptions",
    "LandmarkNoise",
    "SubjectIdentity",
    "Witness",
    "fit",
    "fit_identity",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """Fits of n frames; NaN and not converged where a frame could not be fitted.

    Attributes
    ----------
    model : the model that was fitted
    camera : the camera that was given or assumed
    landmark_set : name of the model's points that were compared
    f_exp : (n, e) float32
    f_exp_std : (n, e) float32, standard deviations (see solver/uncertainty.py)
    f_shape : (n, s) float32
    pose : (n, 6) float64, rotation vector (radians) and translation (decimetres)
    energy : (n,) float32, Eq. 3 in squared inter-ocular distances, or in the unit and the power
        that the options ask for; with one identity a subject without the identity's share
    rmse : (n,) float32, root mean square of D in pixels (of dense points too, where they are
        fitted)
    rmse_iod : (n,) float32, the same in inter-ocular distances
    focal : (n,) float64, pixels
    iterations : (n,) int32, steps of the solver
    converged : (n,) bool
    landmark_error : (n,) float64, inter-ocular distances, that the weights of the ridge were set
        for; NaN where they were given
    rules_share : (n,) float64, how far the frame's person keeps to the prior's rules, in [0, 1];
        NaN without a second witness
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
    focal: Floats
    iterations: NDArray[np.int32]
    converged: NDArray[np.bool_]
    landmark_error: Floats
    rules_share: Floats

    def __len__(self) -> int:
        return len(self.f_exp)

    def mesh(self, index: int) -> NDArray[np.float32]:
        """The fitted mesh of a frame, (n, 3) float32 decimetres, model coordinates.

        Parameters
        ----------
        index : of the frame
        """
        return self.model.shape(self.f_shape[index], self.f_exp[index])

    def project(self, index: int) -> Floats:
        """The fitted landmarks of a frame in the image, (68, 2) float64 source pixels.

        Parameters
        ----------
        index : of the frame
        """
        pose = self.pose[index]
        places = landmark_places(self.model, self.mesh(index), pose, self.landmark_set)
        return self._camera(index).project(places, pose)

    def project_mesh(self, index: int) -> Floats:
        """The fitted mesh of a frame in the image, (n, 2) float64 source pixels.

        Parameters
        ----------
        index : of the frame
        """
        return self._camera(index).project(self.mesh(index), self.pose[index])

    def _camera(self, index: int) -> Camera:
        return Camera(self.camera.width, self.camera.height, float(self.focal[index]))


def fit(
    landmarks: ArrayLike,
    model: MorphableModel,
    *,
    camera: Camera | None = None,
    landmark_set: str = "anatomical",
    identity: Literal["subject", "frame"] = "subject",
    subject: ArrayLike | None = None,
    sequence: ArrayLike | None = None,
    f_shape: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    dense: DenseObservations | None = None,
    witness: Witness | None = None,
    visibility: ArrayLike | None = None,
    options: FitOptions | None = None,
    **settings: Any,
) -> Fit:
    """Fit identity, expression and pose to landmarks (Eq. 3).

    Parameters
    ----------
    landmarks : (n, 68, 2) or (68, 2) float, source pixels, NaN where missing
    model : the morphable model
    camera : of the images, as ``Camera.for_image(width, height)``; by default `Camera.around` the
        landmarks, whose principal point is the middle of them all
    landmark_set : which points of the model are compared
    identity : one f_shape for all frames of a subject, or one a frame (the paper's)
    subject : (n,) labels; by default all frames are of one subject
    sequence : (n,) labels of the clips within which neighbours are neighbours in time, for the
        temporal term; by default a subject's frames are one clip
    f_shape : (s,) float, a known identity, which is then kept
    weights : (n, 68) float, confidences of the landmarks, 0 for missing
    dense : a detector's dense points, compared point to point beside the landmarks
    witness : a blendshape network's say on f_exp, of the same n frames
    visibility : (n, 7) float in [0, 1], how far each part of a face is seen, see visibility.py;
        f_exp of hidden parts is then the prior's mean, where there is a prior
    options : how Eq. 3 is set up and solved
    settings : fields of `FitOptions` instead of options: ``bounds=False``, ``temporal=0.01`` ...

    Returns
    -------
    Fit

    Raises
    ------
    UsageError
        wrong shapes or options, or no landmark is finite
    DataError
        the model has no such landmark set, or the dense points are of another model
    """
    options = _options(options, settings)
    points, weight = _checked(landmarks, weights)
    count = len(points)
    known = _known_shape(f_shape, model)
    _check_choices(model, landmark_set, identity, options)
    if witness is not None:
        _check_witness(witness, model, identity, options, count)
    seen = None if visibility is None else checked_visibility(visibility, count)
    camera = camera or Camera.around(points)
    fitters, normalised = _made_ready(
        points, weight, model, landmark_set, options, camera, dense, seen
    )
    result = _empty_fit(model, camera, landmark_set, count)
    clips = _labels(sequence, count, "sequence")
    for members in _groups(_labels(subject, count, "subject")):
        rows = members[normalised.usable[members]]
        if len(rows):
            frames = normalised.rows(rows)
            own_shapes, linked = identity == "frame", _linked(rows, clips)
            found = fit_group(
                fitters,
                frames,
                camera.focal,
                known,
                own_shapes=own_shapes,
                linked=linked,
                witness=None if witness is None else witness.rows(rows),
                visibility=None if seen is None else seen[rows],
            )
            _fill(result, rows, frames, found)
    return result


@dataclass(frozen=True, eq=False)
class SubjectIdentity:
    """What all frames of a subject share.

    Attributes
    ----------
    f_shape : (s,) float64
    focal : pixels
    landmark_error : inter-ocular distances; NaN where the weights of the ridge were given
    """

    f_shape: Floats
    focal: float
    landmark_error: float


def fit_identity(
    landmarks: ArrayLike,
    model: MorphableModel,
    *,
    camera: Camera,
    landmark_set: str = "anatomical",
    dense: DenseObservations | None = None,
    visibility: ArrayLike | None = None,
    options: FitOptions,
) -> SubjectIdentity | None:
    """Fit no more than what `fit` takes all frames of one subject to share.

    Parameters
    ----------
    landmarks, model, camera, landmark_set, dense, visibility, options : as in `fit`

    Returns
    -------
    SubjectIdentity or None
        None where no frame can be fitted

    Raises
    ------
    UsageError, DataError
        as in `fit`
    """
    points, weight = _checked(landmarks, None)
    _check_choices(model, landmark_set, "subject", options)
    seen = None if visibility is None else checked_visibility(visibility, len(points))
    fitters, normalised = _made_ready(
        points, weight, model, landmark_set, options, camera, dense, seen
    )
    rows = np.flatnonzero(normalised.usable)
    if not len(rows):
        return None
    frames = SubjectFrames.of(normalised.rows(rows), camera.focal)
    scale, error, f_shape = shared_by_frames(fitters, frames, None)
    if not np.isfinite(f_shape).all():
        return None
    return SubjectIdentity(f_shape, scale * camera.focal, error)


def _made_ready(
    points: Floats,
    weight: Floats,
    model: MorphableModel,
    landmark_set: str,
    options: FitOptions,
    camera: Camera,
    dense: DenseObservations | None,
    seen: Floats | None,
) -> tuple[Fitters, NormalisedLandmarks]:
    """The model made ready for the options, and the points to be fitted, less the detector's bias.

    points: (n, 68, 2); weight: (n, 68); seen: (n, 7), how far each part is seen, or None.
    """
    if seen is not None:
        weight = weight * landmark_weights(seen)
    calibrated: DensePoints | None = None
    if dense is not None:
        calibrated, points, weight = dense.beside(model, points, weight)
    fitters = Fitters.of(model, landmark_set, options, calibrated)
    normalised = normalise(points, weight, camera, fitters.points.mean)
    if options.noise is not None:
        of = yaw_ranges(options.noise)
        normalised = normalised.without_bias(of.bias, of.limits, fitters.points.mean)
    if options.units == "pixels":
        normalised = replace(normalised, scale=normalised.unit)
    return fitters, normalised


def _options(options: FitOptions | None, settings: dict[str, Any]) -> FitOptions:
    if options is not None and settings:
        raise UsageError(f"options and {', '.join(settings)} exclude each other; give one of them")
    known = {item.name for item in fields(FitOptions)}
    for name in settings:
        if name not in known:
            raise UsageError(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
    return options or FitOptions(**settings)


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


def _known_shape(f_shape: ArrayLike | None, model: MorphableModel) -> Floats | None:
    if f_shape is None:
        return None
    known = np.asarray(f_shape, np.float64)
    if known.shape != (len(model.identity),) or not np.isfinite(known).all():
        raise UsageError(f"f_shape: shape {known.shape}, expected finite ({len(model.identity)},)")
    return known


def _check_choices(
    model: MorphableModel, landmark_set: str, identity: str, options: FitOptions
) -> None:
    if landmark_set not in model.landmarks:
        raise DataError(
            f"model {model.name}: has no landmarks {landmark_set!r}; it has "
            f"{', '.join(sorted(model.landmarks)) or 'none'}"
        )
    if identity not in ("subject", "frame"):
        raise UsageError(f"identity {identity!r}: give 'subject' or 'frame'")
    if identity == "frame" and (options.temporal > 0 or options.estimate_focal):
        raise UsageError("temporal and estimate_focal need identity 'subject'")


def _check_witness(
    witness: Witness, model: MorphableModel, identity: str, options: FitOptions, count: int
) -> None:
    if model.expression_names != ARKIT_NAMES:
        raise UsageError("witness: it needs a morphable model with the 51 ARKit blendshapes")
    if witness.evidence.shape != (count, len(ARKIT_NAMES)):
        raise UsageError(
            f"witness: evidence {witness.evidence.shape}, expected ({count}, {len(ARKIT_NAMES)})"
        )
    if identity != "subject" or options.temporal > 0 or not options.bounds:
        raise UsageError("witness: it needs identity 'subject', bounds, and no temporal term")


def _labels(labels: ArrayLike | None, count: int, name: str) -> NDArray[np.generic]:
    if labels is None:
        return np.zeros(count, np.int64)
    array = np.asarray(labels)
    if array.shape != (count,):
        raise UsageError(f"{name}: shape {array.shape}, expected ({count},)")
    return array


def _groups(labels: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _linked(rows: NDArray[np.intp], clips: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Whether each of these frames follows the one before it, in the same clip, (m,)."""
    following = (np.diff(rows) == 1) & (clips[rows[1:]] == clips[rows[:-1]])
    return np.append(False, following)


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
        focal=np.full(count, camera.focal),
        iterations=np.zeros(count, np.int32),
        converged=np.zeros(count, np.bool_),
        landmark_error=np.full(count, np.nan),
        rules_share=np.full(count, np.nan),
    )


def _fill(
    result: Fit, rows: NDArray[np.intp], frames: NormalisedLandmarks, found: GroupFit
) -> None:
    poses = found.poses.turned(frames.roll)
    pose = np.concatenate([rotation_vector(poses.rotation), poses.translation], axis=1)
    good = found.converged
    to = rows[good]
    result.f_exp[to], result.f_shape[to] = found.expression[good], found.shape[good]
    result.f_exp_std[to], result.pose[to] = found.deviation[good], pose[good]
    result.energy[to], result.rmse_iod[to] = found.result.energy[good], found.rms[good]
    result.rmse[to] = (found.rms * frames.unit)[good]
    result.focal[to] = found.focal_scale * result.camera.focal
    result.landmark_error[to] = found.error
    result.rules_share[to] = found.rules_share
    result.iterations[rows] = found.result.iterations
    result.converged[to] = True
