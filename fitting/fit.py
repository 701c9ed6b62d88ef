"""Fit a morphable model to 68 landmarks (Eq. 3): one frame or thousands, one identity a subject."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from .camera import Camera, rotation_vector
from .dense_points import NO_WEIGHT, DensePoints, checked_dense, load_dense_points
from .fitters import Fitters
from .initial_pose import NormalisedLandmarks, normalise
from .morphable_model.landmark_noise import LandmarkNoise, yaw_ranges
from .morphable_model.landmark_scheme import COUNT
from .morphable_model.morphable_model import MorphableModel
from .options import ExpressionPrior, FitOptions
from .solver.problem import landmark_places
from .subject import GroupFit, fit_group

__all__ = ["ExpressionPrior", "Fit", "FitOptions", "LandmarkNoise", "fit"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """Fits of n frames; NaN and not converged where a frame could not be fitted.

    f_exp: (n, e) float32; f_exp_std: (n, e) float32 standard deviations (see uncertainty).
    f_shape: (n, s) float32. pose: (n, 6) float64 rotation vector (radians) and translation
    (decimetres). energy: (n,) float32, Eq. 3 in squared inter-ocular distances; with one identity a
    subject without the identity's share. rmse: (n,) float32, root mean square D in pixels
    (of dense points too, where they are fitted), and rmse_iod in inter-ocular distances. focal:
    (n,) pixels. iterations: (n,) int32. converged: (n,) bool. landmark_error: (n,) float64,
    inter-ocular distances, that the weights of the ridge were set for; NaN where they were given.
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

    def __len__(self) -> int:
        return len(self.f_exp)

    def mesh(self, index: int) -> NDArray[np.float32]:
        """The fitted mesh of a frame, (n, 3) float32 decimetres, model coordinates."""
        return self.model.shape(self.f_shape[index], self.f_exp[index])

    def project(self, index: int) -> Floats:
        """The fitted landmarks of a frame in the image, (68, 2) float64 source pixels."""
        pose = self.pose[index]
        places = landmark_places(self.model, self.mesh(index), pose, self.landmark_set)
        return self._camera(index).project(places, pose)

    def project_mesh(self, index: int) -> Floats:
        """The fitted mesh of a frame in the image, (n, 2) float64 source pixels."""
        return self._camera(index).project(self.mesh(index), self.pose[index])

    def _camera(self, index: int) -> Camera:
        return Camera(self.camera.width, self.camera.height, float(self.focal[index]))


def fit(
    landmarks: ArrayLike,
    model: MorphableModel,
    *,
    image_size: tuple[int, int] | None = None,
    focal: float | None = None,
    landmark_set: str = "anatomical",
    identity: Literal["subject", "frame"] = "subject",
    subject: ArrayLike | None = None,
    sequence: ArrayLike | None = None,
    f_shape: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    dense: ArrayLike | None = None,
    dense_points: DensePoints | None = None,
    dense_only: bool = False,
    options: FitOptions | None = None,
    **settings: Any,
) -> Fit:
    """Fit identity, expression and pose to landmarks (Eq. 3).

    landmarks: (n, 68, 2) or (68, 2), source pixels, NaN where missing. image_size: (width,
    height); without it the principal point is the middle of all landmarks. focal: pixels, by
    default 1.5 x the longer side. landmark_set: which points of the model are compared. identity:
    one f_shape for all frames of a subject, or one a frame (the paper's). subject: (n,) labels, by
    default all frames are of one. sequence: (n,) labels of the clips within which neighbours are
    neighbours in time, for the temporal term; by default a subject's frames are one clip. f_shape:
    (s,) a known identity, which is then kept. weights: (n, 68) confidences, 0 for missing.
    dense: (n, d, 2) source pixels, NaN where missing: a detector's dense points, compared point to
    point beside the landmarks, by their calibrated deviations. dense_points: their calibration; by
    default the one for the embedded model. dense_only: the landmarks then only say how the face is
    turned. settings: fields of FitOptions, instead of options: ``bounds=False``,
    ``temporal=0.01`` ...

    Raises UsageError for wrong shapes or options or where no landmark is finite, DataError for a
    model without the landmark set.
    """
    options = _options(options, settings)
    points, weight = _checked(landmarks, weights)
    size = image_size or _size_around(points)
    known = _known_shape(f_shape, model)
    if landmark_set not in model.landmarks:
        raise DataError(
            f"model {model.name}: has no landmarks {landmark_set!r}; it has "
            f"{', '.join(sorted(model.landmarks)) or 'none'}"
        )
    if identity not in ("subject", "frame"):
        raise UsageError(f"identity {identity!r}: give 'subject' or 'frame'")
    if identity == "frame" and (options.temporal > 0 or options.estimate_focal):
        raise UsageError("temporal and estimate_focal need identity 'subject'")
    camera = Camera.for_image(*size, focal)
    if dense is not None:
        dense_points, extra = checked_dense(
            dense_points or load_dense_points(model), dense, len(points)
        )
        points = np.concatenate([points, extra], axis=1)
        own = np.broadcast_to(dense_points.weights(), extra.shape[:2])
        weight = np.concatenate([weight * (NO_WEIGHT if dense_only else 1.0), own], axis=1)
    fitters = Fitters.of(model, landmark_set, options, None if dense is None else dense_points)
    normalised = normalise(points, weight, camera, fitters.points.mean)
    if options.noise is not None:
        of = yaw_ranges(options.noise)
        normalised = normalised.without_bias(of.bias, of.limits, fitters.points.mean)
    result = _empty_fit(model, camera, landmark_set, len(points))
    clips = _labels(sequence, len(points), "sequence")
    for members in _groups(_labels(subject, len(points), "subject")):
        rows = members[normalised.usable[members]]
        if len(rows):
            part = normalised.rows(rows)
            found = fit_group(
                fitters,
                part,
                camera.focal,
                known,
                own_shapes=identity == "frame",
                linked=np.append(
                    False, (np.diff(rows) == 1) & (clips[rows[1:]] == clips[rows[:-1]])
                ),
            )
            _fill(result, rows, part, found)
    return result


def _options(options: FitOptions | None, settings: dict[str, Any]) -> FitOptions:
    if options is not None and settings:
        raise UsageError(f"options and {', '.join(settings)} exclude each other; give one of them")
    known = {item.name for item in fields(FitOptions)}
    for name in settings:
        if name not in known:
            raise UsageError(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
    return options or FitOptions(**settings)


def _known_shape(f_shape: ArrayLike | None, model: MorphableModel) -> Floats | None:
    if f_shape is None:
        return None
    known = np.asarray(f_shape, np.float64)
    if known.shape != (len(model.identity),) or not np.isfinite(known).all():
        raise UsageError(f"f_shape: shape {known.shape}, expected finite ({len(model.identity)},)")
    return known


def _size_around(points: Floats) -> tuple[int, int]:
    """The size of an image whose middle is that of the landmarks' bounding box."""
    if not np.isfinite(points).any():
        raise UsageError("landmarks: none is finite; nothing can be fitted")
    spread = np.nanmin(points, axis=(0, 1)) + np.nanmax(points, axis=(0, 1))
    width, height = np.maximum(np.rint(spread) + 1, 1).astype(int)
    return int(width), int(height)


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


def _labels(labels: ArrayLike | None, count: int, name: str) -> NDArray[np.generic]:
    if labels is None:
        return np.zeros(count, np.int64)
    array = np.asarray(labels)
    if array.shape != (count,):
        raise UsageError(f"{name}: shape {array.shape}, expected ({count},)")
    return array


def _groups(labels: NDArray[np.generic]) -> list[NDArray[np.intp]]:
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
        focal=np.full(count, camera.focal),
        iterations=np.zeros(count, np.int32),
        converged=np.zeros(count, np.bool_),
        landmark_error=np.full(count, np.nan),
    )


def _fill(result: Fit, rows: NDArray[np.intp], part: NormalisedLandmarks, found: GroupFit) -> None:
    poses = found.poses.turned(part.roll)
    pose = np.concatenate([rotation_vector(poses.rotation), poses.translation], axis=1)
    good = found.converged
    to = rows[good]
    result.f_exp[to], result.f_shape[to] = found.expression[good], found.shape[good]
    result.f_exp_std[to], result.pose[to] = found.deviation[good], pose[good]
    result.energy[to], result.rmse_iod[to] = found.outcome.energy[good], found.rms[good]
    result.rmse[to] = (found.rms * part.unit)[good]
    result.focal[to] = found.focal_scale * result.camera.focal
    result.landmark_error[to] = found.error
    result.iterations[rows] = found.outcome.iterations
    result.converged[to] = True
