"""Where the eyes look, by the irises that a detector finds, and the head in other tools' terms.

The detector that keeps the irises keeps what its blendshape network sees too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ...fitting.camera import rotation_matrix, to_camera
from ...fitting.fit import Fit
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.solver.problem import landmark_places
from ...fitting.witness import OUTPUTS
from ..landmarks.dense_landmarks import dense_and_seen
from ..landmarks.detector import Box, Detector, Image, Landmarks, Wrapped
from ..landmarks.visibility import seen_parts

# A look that is further from straight ahead in the head is no look, but an iris marked wrongly.
_FURTHEST = float(np.cos(np.radians(60.0)))
# Distance of the iris from the eyeball's centre, in radii of the ball.
_IRIS_DEPTH = 0.9
# f_exp of eyeBlink from which an eye is too closed for its iris to be found.
_CLOSED = 0.7
# Faces whose irises are kept until somebody asks for them.
_REMEMBERED = 16
# From glee's camera coordinates (y up, z to the viewer) to those of OpenCV (y down, z away).
TO_OPENCV = np.array([1.0, -1.0, -1.0])

Floats = npt.NDArray[np.float64]
MILLIMETRES = 100.0  # in a decimetre


class IrisDetector(Wrapped):
    """A detector that remembers the irises of the faces it looked at last.

    For the `mesh` backend, refined or not; with any other the irises are NaN.

    Parameters
    ----------
    detector : Detector
        The backend.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self._dense: Any = getattr(self.innermost, "landmarks_dense", None)
        self._blendshapes: Any = getattr(self.innermost, "blendshapes", None)
        # As many as a new face is looked at (either way up, twice each), and its neighbours'.
        self._found: deque[tuple[Landmarks, Landmarks, Landmarks | None]]
        self._found = deque(maxlen=_REMEMBERED)

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks as the backend does; the irises are kept until `irises_of`."""
        if self._dense is None:
            return self.backend.landmarks(image, box)
        from ..landmarks.mesh.points import landmarks_from_mesh

        points, confidence, seen = dense_and_seen(self.innermost, image, box)
        landmarks = self.refined(image, landmarks_from_mesh(points))
        self._found.append((landmarks, points, seen))
        return landmarks, confidence

    def irises_of(self, landmarks: Landmarks) -> Landmarks:
        """Give the irises that were found with landmarks.

        Parameters
        ----------
        landmarks : (68, 2) float32
            As `landmarks` returned them.

        Returns
        -------
        (2, 2) float32
            Centres of right and left iris, source pixels; NaN if not known.
        """
        from ..landmarks.mesh.points import LEFT_IRIS, RIGHT_IRIS

        found = self.found_with(landmarks)
        if found is None:
            return np.full((2, 2), np.nan, np.float32)
        return found[0][[RIGHT_IRIS[0], LEFT_IRIS[0]], :2]

    def blendshapes_of(
        self, landmarks: Sequence[Landmarks], points: Sequence[Landmarks | None]
    ) -> npt.NDArray[np.float32]:
        """Give what the backend's blendshape network makes of faces.

        Parameters
        ----------
        landmarks : n of (68, 2) float32
            As `landmarks` returned them.
        points : n of (p, 2) or (p, 3) float32, or None
            As `points_of` gives them.

        Returns
        -------
        (n, 52) float32
            In the order of `fitting.witness.OUTPUTS`; NaN if not known.
        """
        found = np.full((len(landmarks), len(OUTPUTS)), np.nan, np.float32)
        known = [row for row, own in enumerate(points) if own is not None]
        if known and self._blendshapes is not None:
            found[known] = self._blendshapes(np.stack([own for own in points if own is not None]))
        return found

    def parts_of(self, landmarks: Landmarks, size: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Tell how far each part of the face with these landmarks is seen.

        Parameters
        ----------
        landmarks : (68, 2) float32
            As `landmarks` returned them.
        size : (int, int)
            Width and height of the picture, pixels.

        Returns
        -------
        (7,) float32
            See `landmarks.visibility.seen_parts`.
        """
        found = self.found_with(landmarks)
        return seen_parts(landmarks, size, None if found is None else found[1])

    def points_of(self, landmarks: Landmarks) -> Landmarks | None:
        """Give all of the backend's points of the face with these landmarks.

        Parameters
        ----------
        landmarks : (68, 2) float32
            As `landmarks` returned them.

        Returns
        -------
        (p, 2) or (p, 3) float32 or None
            Source pixels; None where nothing is remembered.
        """
        found = self.found_with(landmarks)
        return None if found is None else found[0]

    def found_with(self, landmarks: Landmarks) -> tuple[Landmarks, Landmarks | None] | None:
        """Give what was found with landmarks.

        Parameters
        ----------
        landmarks : (68, 2) float32
            As `landmarks` returned them.

        Returns
        -------
        (points, seen) or None
            All of the backend's points, and which landmarks are seen where it tells; None where
            nothing is remembered.
        """
        return next(
            (
                (points, seen)
                for own, points, seen in reversed(self._found)
                if own is landmarks or np.array_equal(own, landmarks)
            ),
            None,
        )


def gaze_directions(fit: Fit, irises: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Tell where the right and the left eyes look.

    The eyeballs are those of the fitted head; the look goes from an eyeball's centre to where the
    line of sight through the iris's centre meets the sphere on which that centre moves.

    Parameters
    ----------
    fit : Fit
        n fitted faces.
    irises : (n, 2, 2) float32
        Centres of their irises, source pixels.

    Returns
    -------
    (n, 2, 3) float64
        Unit vectors in OpenCV's camera coordinates; NaN where the iris is unknown or the eye is
        closed.
    """
    looks = np.full((len(irises), 2, 3), np.nan)
    eyes = _eyeballs(fit.model)
    rows = np.flatnonzero(fit.converged & np.isfinite(irises).any((1, 2)))
    if not (len(eyes[0].mean) and len(rows)):
        return looks
    centres, radius = np.empty((len(rows), 2, 3)), np.empty(len(rows))
    for place, row in enumerate(rows):
        right, left = (eye.shape(fit.f_shape[row], fit.f_exp[row]) for eye in eyes)
        centres[place] = right.mean(0), left.mean(0)
        radius[place] = np.linalg.norm(right - centres[place, 0], axis=1).mean()
    pose, focal = fit.pose[rows], fit.focal[rows, None]
    head = rotation_matrix(pose[:, :3])
    in_camera = centres @ np.swapaxes(head, 1, 2) + pose[:, None, 3:]
    rays = np.full((len(rows), 2, 3), -1.0)
    rays[..., 0] = (irises[rows, :, 0] - (fit.camera.width - 1) / 2.0) / focal
    rays[..., 1] = -(irises[rows, :, 1] - (fit.camera.height - 1) / 2.0) / focal
    found = _to_sphere(rays, in_camera, _IRIS_DEPTH * radius[:, None])
    likely = (found @ head[:, :, 2, None])[..., 0] > _FURTHEST
    looks[rows] = np.where((likely & ~_closed(fit)[rows])[..., None], found * TO_OPENCV, np.nan)
    return looks


def looks_in_head(fit: Fit, index: int, looks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the angles of both eyes within the head.

    Parameters
    ----------
    fit : Fit
        Fitted faces.
    index : int
        Which of them.
    looks : (2, 3) float64
        As `gaze_directions` gives them.

    Returns
    -------
    (2, 2) float64
        Yaw (to the image's right) and pitch (upwards) of the right and the left eye, radians.
    """
    head = rotation_matrix(fit.pose[index, :3]) * TO_OPENCV * TO_OPENCV[:, None]
    x, y, z = (looks @ head).T
    return np.stack([np.arctan2(x, -z), np.arctan2(-y, -z)], axis=1)


def _to_sphere(rays: Floats, centres: Floats, radius: Floats) -> Floats:
    """Unit vectors from spheres' centres to where rays from the camera meet them or are nearest.

    rays, centres: (n, 2, 3). radius: (n, 1).
    """
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    along = (rays * centres).sum(-1)
    miss = (centres * centres).sum(-1) - along**2
    depth = along - np.sqrt(np.maximum(radius**2 - miss, 0.0))
    looks = depth[..., None] * rays - centres
    return np.asarray(looks / np.linalg.norm(looks, axis=-1, keepdims=True))


def _closed(fit: Fit) -> npt.NDArray[np.bool_]:
    """(n, 2): whether the right and the left eyes are closed."""
    names = fit.model.expression_names
    blinks = ("eyeBlinkRight", "eyeBlinkLeft")
    if not set(blinks) <= set(names):
        return np.zeros((len(fit.f_exp), 2), bool)
    return np.asarray(fit.f_exp[:, [names.index(name) for name in blinks]] > _CLOSED)


class _Eyeball(NamedTuple):
    """An eyeball's part of a model: mean (n, 3), identity (k, n, 3), expression (e, n, 3)."""

    mean: npt.NDArray[np.float32]
    identity: npt.NDArray[np.float32]
    expression: npt.NDArray[np.float32]

    def shape(self, f_shape: Floats, f_exp: Floats) -> Floats:
        """As `MorphableModel.shape`, (n, 3): the whole mesh for a look costs half a millisecond."""
        # Not by BLAS, whose sums depend on its number of threads.
        ball = self.mean + np.einsum("k,knc->nc", f_shape.astype(np.float32), self.identity)
        ball += np.einsum("e,enc->nc", f_exp.astype(np.float32), self.expression)
        return np.asarray(ball, np.float64)


@lru_cache(maxsize=2)
def _eyeballs(model: MorphableModel) -> tuple[_Eyeball, _Eyeball]:
    """The right and the left one; empty where a model has none."""
    vertices = np.empty(0, np.int32)
    if "eyes" in model.part_names:
        vertices = np.unique(model.part_triangles("eyes"))
    right = model.mean[vertices, 0] < 0
    balls = (vertices[right], vertices[~right])
    first, second = (
        _Eyeball(
            model.mean[ball],
            np.ascontiguousarray(model.identity[:, ball]),
            np.ascontiguousarray(model.expression[:, ball]),
        )
        for ball in balls
    )
    return first, second


def euler_xyz(rotation: Floats) -> Floats:
    """Give the angles of rotations R = Rx Ry Rz.

    Parameters
    ----------
    rotation : (..., 3, 3) float64
        R.

    Returns
    -------
    (..., 3) float64
        Radians; the middle one within a right angle.
    """
    y = np.arcsin(np.clip(rotation[..., 0, 2], -1.0, 1.0))
    x = np.arctan2(-rotation[..., 1, 2], rotation[..., 2, 2])
    z = np.arctan2(-rotation[..., 0, 1], rotation[..., 0, 0])
    return np.stack([x, y, z], axis=-1)


def opencv_rotation(pose: ArrayLike) -> Floats:
    """Give the head's rotation in OpenCV's camera coordinates: x right, y down, z away.

    Parameters
    ----------
    pose : (6,) array_like
        As `fitting.camera` has it.

    Returns
    -------
    (3, 3) float64
        The identity for a face that looks into the camera.
    """
    rotation = rotation_matrix(np.asarray(pose, np.float64)[:3])
    return np.asarray(rotation * TO_OPENCV * TO_OPENCV[:, None])


def landmarks_in_space(fit: Fit, index: int) -> Floats:
    """Give the fitted 68 landmarks of a face in space.

    Parameters
    ----------
    fit : Fit
        Fitted faces.
    index : int
        Which of them.

    Returns
    -------
    (68, 3) float64
        Millimetres, OpenCV's camera coordinates.
    """
    pose = fit.pose[index]
    places = landmark_places(fit.model, fit.mesh(index), pose, fit.landmark_set)
    return np.asarray(to_camera(places, pose) * TO_OPENCV * MILLIMETRES)


def head_place(fit: Fit, index: int) -> Floats:
    """Give the middle of a head's 68 landmarks at rest.

    Parameters
    ----------
    fit : Fit
        Fitted faces.
    index : int
        Which of them.

    Returns
    -------
    (3,) float64
        Millimetres, OpenCV's camera coordinates.
    """
    points = fit.model.landmarks[fit.landmark_set]
    rest = points.on(fit.model.shape(fit.f_shape[index], np.zeros_like(fit.f_exp[index])))
    return np.asarray(to_camera(rest.mean(0)[None], fit.pose[index])[0] * TO_OPENCV * MILLIMETRES)


def yaw_pitch_roll(pose: ArrayLike) -> Floats:
    """Give the head's angles of poses; R = Rx(-pitch) Ry(yaw) Rz(roll), y up.

    Yaw is positive where the face turns to the image's right (the person's left), pitch where it
    looks up, roll where its top tilts to the image's left.

    Parameters
    ----------
    pose : (..., 6) array_like
        As `fitting.camera` has it.

    Returns
    -------
    (..., 3) float64
        Yaw, pitch and roll, degrees.
    """
    angles = euler_xyz(rotation_matrix(np.asarray(pose, np.float64)[..., :3]))
    return np.asarray(np.degrees(angles[..., [1, 0, 2]] * [1.0, -1.0, 1.0]), np.float64)
