"""Where a fit starts: normalised landmarks, a pose of the mean face, frames that stand for all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import Camera
from .morphable_model.landmark_scheme import COUNT, OUTER_EYE_CORNERS

Floats = NDArray[np.float64]

MINIMUM_POINTS = 6  # with fewer finite points a frame is not fitted
# Share of the frames farthest from the middle that no sample takes: mostly failed landmarks.
_OUTLIERS = 0.03
# Four, for squared distances, and what rounding may add.
_NOT_HALF_WAY = 4.0 * (1.0 + 1e-9)


@dataclass(frozen=True, eq=False)
class NormalisedLandmarks:
    """Landmarks of n frames about the principal point, y up, unit = inter-ocular distance, level.

    Attributes
    ----------
    target : (n, p, 2) float64, NaN where missing: 68 landmarks, and dense points behind them where
        they are fitted too
    weight : (n, p) float64, 0 where missing
    unit : (n,) float64, inter-ocular distance, pixels
    roll : (n,) float64, radians, by which the image was turned about the principal point to level
        the eyes
    usable : (n,) bool, enough finite points to fit
    yaw_range : (n,) int64, which of the ranges of yaw by which a detector's noise is known
    scale : (n,) float64, what a distance of one unit counts as in the energy: 1, or pixels
    """

    target: Floats
    weight: Floats
    unit: Floats
    roll: Floats
    usable: NDArray[np.bool_]
    yaw_range: NDArray[np.int64]
    scale: Floats

    def rows(self, chosen: NDArray[np.integer]) -> NormalisedLandmarks:
        """Some of the frames.

        Parameters
        ----------
        chosen : (m,) int, their indices
        """
        return NormalisedLandmarks(
            self.target[chosen],
            self.weight[chosen],
            self.unit[chosen],
            self.roll[chosen],
            self.usable[chosen],
            self.yaw_range[chosen],
            self.scale[chosen],
        )

    def without_bias(
        self, bias: NDArray[np.floating], limits: NDArray[np.floating], mean: Floats
    ) -> NormalisedLandmarks:
        """Less a detector's bias, each frame's by its yaw, which is kept as its yaw_range.

        Parameters
        ----------
        bias : (b, 68, 2) float, inter-ocular distances, face level, y down
        limits : (b - 1,) float, radians, between the ranges of yaw
        mean : (p, 3) float64, points of the mean face, decimetres
        """
        ranges = np.searchsorted(limits, yaw_of(self, mean)).astype(np.int64)
        target = self.target.copy()
        target[:, :COUNT] -= bias[ranges] * np.array([1.0, -1.0])
        return replace(self, target=target, yaw_range=ranges)


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of n frames.

    Attributes
    ----------
    rotation : (n, 3, 3) float64
    translation : (n, 3) float64, decimetres
    """

    rotation: Floats
    translation: Floats

    def turned(self, angle: Floats) -> Poses:
        """The same poses seen after the camera turned about its axis.

        Parameters
        ----------
        angle : (n,) float64, radians, by which the image turns
        """
        cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
        one = np.ones_like(angle)
        turn = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).reshape(-1, 3, 3)
        return Poses(turn @ self.rotation, np.einsum("nab,nb->na", turn, self.translation))


def normalise(
    landmarks: Floats, weights: Floats, camera: Camera, mean: Floats
) -> NormalisedLandmarks:
    """Landmarks about the principal point, level, in inter-ocular distances.

    Where an outer eye corner is missing, size and roll come from the other points.

    Parameters
    ----------
    landmarks : (n, p, 2) float64, source pixels, NaN where missing
    weights : (n, p) float64, 0 for missing
    camera : of the images
    mean : (p, 3) float64, points of the mean face, decimetres

    Returns
    -------
    NormalisedLandmarks
    """
    centred = (landmarks - np.asarray(camera.centre)) * np.array([1.0, -1.0])
    here = np.isfinite(centred).all(-1) & (weights > 0)
    weight = np.where(here, weights, 0.0)
    usable = here.sum(1) >= MINIMUM_POINTS
    right, left = OUTER_EYE_CORNERS
    eyes = centred[:, left] - centred[:, right]
    partial = usable & ~(here[:, right] & here[:, left])
    if partial.any():
        affine = _affine(centred[partial], weight[partial], mean)
        eyes[partial] = affine[:, :, :3] @ (mean[left] - mean[right])
    unit = np.linalg.norm(eyes, axis=-1)
    usable &= np.isfinite(unit) & (unit > 1e-6)
    unit = np.where(usable, unit, 1.0)
    roll = np.where(usable, np.arctan2(eyes[:, 1], eyes[:, 0]), 0.0)
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    x, y = centred[..., 0], centred[..., 1]
    target = np.stack([cos * x + sin * y, cos * y - sin * x], -1) / unit[:, None, None]
    return NormalisedLandmarks(
        np.where(here[..., None], target, np.nan),
        weight,
        unit,
        roll,
        usable,
        np.zeros(len(unit), np.int64),
        np.ones(len(unit)),
    )


def yaw_of(points: NormalisedLandmarks, mean: Floats) -> Floats:
    """Yaw of the mean face seen without perspective in the 68 landmarks.

    It depends on nothing but the frame.

    Parameters
    ----------
    points : of n frames
    mean : (p, 3) float64, points of the mean face, decimetres

    Returns
    -------
    (n,) float64
        radians, positive where the face is turned to the person's left
    """
    landmarks = replace(points, target=points.target[:, :COUNT], weight=points.weight[:, :COUNT])
    rotation = weak_perspective(landmarks, np.ones(len(points.unit)), mean[:COUNT]).rotation
    return np.asarray(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))


def weak_perspective(points: NormalisedLandmarks, focal: Floats, mean: Floats) -> Poses:
    """Pose of the mean face in every frame, by least squares without perspective.

    An affine camera (2 x 4) by linear least squares; the rows of a rotation that are nearest to its
    linear part are U V^T of the singular value decomposition (orthogonal Procrustes, Schoenemann
    1966), and the mean of the singular values is focal / depth.

    Parameters
    ----------
    points : of n frames
    focal : (n,) float64, focal lengths in the frames' units
    mean : (p, 3) float64, points of the mean face, decimetres

    Returns
    -------
    Poses
        the identity for frames that are not usable
    """
    target = np.where(np.isfinite(points.target), points.target, 0.0)
    affine = _affine(target, np.where(points.usable[:, None], points.weight, 1.0), mean)
    left, size, right = np.linalg.svd(affine[:, :, :3], full_matrices=False)
    rows = left @ right
    # The third row of a rotation is the cross product of the others.
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    scale = np.maximum(size.mean(1), 1e-3)
    depth = focal / scale
    # The depth is that of the mean face's middle, which turns about the model's origin.
    nearer = rotation[:, 2] @ mean.mean(0)
    translation = np.concatenate(
        [affine[:, :, 3] * (depth / focal)[:, None], -(depth + nearer)[:, None]], 1
    )
    bad = ~points.usable | ~np.isfinite(rotation).all((1, 2)) | ~np.isfinite(translation).all(1)
    rotation[bad], translation[bad] = np.eye(3), (0.0, 0.0, -10.0)
    return Poses(np.ascontiguousarray(rotation), np.ascontiguousarray(translation))


def _affine(target: Floats, weight: Floats, mean: Floats) -> Floats:
    """Weighted least squares of target (n, p, 2) on mean (p, 3): affine cameras (n, 2, 4)."""
    homogeneous = np.column_stack([mean, np.ones(len(mean))])
    filled = np.where(np.isfinite(target), target, 0.0)
    # Two factors at a time, the sums along memory: three take einsum three times as long.
    products = homogeneous[:, :, None] * homogeneous[:, None, :]
    normal = np.einsum("ni,ik->nk", weight, products.reshape(len(mean), -1)).reshape(-1, 4, 4)
    weighed = np.ascontiguousarray(np.swapaxes(filled * weight[..., None], 1, 2))
    rhs = np.einsum("nci,ai->nac", weighed, np.ascontiguousarray(homogeneous.T))
    normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4)
    return np.swapaxes(np.linalg.solve(normal, rhs), 1, 2)


def spread_sample(landmarks: ArrayLike, count: int) -> NDArray[np.int64]:
    """Indices of frames that lie far apart in pose and expression, the same ones each time.

    Farthest point sampling (Gonzalez 1985) on the landmarks without position, size and tilt, from
    the frame nearest to the middle on.

    Parameters
    ----------
    landmarks : (n, p, 2) float, any unit; frames with NaN are never chosen
    count : most indices

    Returns
    -------
    (m,) int64
        ascending, m <= count
    """
    landmarks = np.asarray(landmarks, np.float64)
    usable = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    if len(usable) <= count:
        return usable
    shapes = _without_position(landmarks[usable])
    distance = ((shapes - np.median(shapes, axis=0)) ** 2).sum(1)
    inner = np.argsort(distance, kind="stable")[: max(count, round(len(usable) * (1 - _OUTLIERS)))]
    inner.sort()
    shapes, distance = shapes[inner], distance[inner]
    chosen = [int(np.argmin(distance))]
    nearest, owner = ((shapes - shapes[chosen[0]]) ** 2).sum(1), np.zeros(len(shapes), np.int64)
    while len(chosen) < count:
        new = int(np.argmax(nearest))
        between = ((shapes[chosen] - shapes[new]) ** 2).sum(1)
        # Frames stay with their chosen one that are nearer to it than half way to the new one.
        some = np.flatnonzero(_NOT_HALF_WAY * nearest >= between[owner])
        distance = ((shapes[some] - shapes[new]) ** 2).sum(1)
        closer = distance < nearest[some]
        nearest[some[closer]], owner[some[closer]] = distance[closer], len(chosen)
        chosen.append(new)
    return np.unique(usable[inner[chosen]])


def _without_position(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks (n, p, 2) centred, of unit size, the eye line level -> (n, 2 p)."""
    shapes = landmarks - landmarks.mean(1, keepdims=True)
    shapes /= np.sqrt((shapes**2).sum((1, 2), keepdims=True)) + 1e-12
    right, left = OUTER_EYE_CORNERS
    eyes = shapes[:, left] - shapes[:, right]
    angle = np.arctan2(eyes[:, 1], eyes[:, 0])
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = shapes[..., 0], shapes[..., 1]
    turned = np.stack([cosine * x + sine * y, cosine * y - sine * x], -1)
    return np.asarray(turned.reshape(len(turned), -1))
