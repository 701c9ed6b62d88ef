"""A fitted pose in the conventions that other tools' files use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ...fitting.camera import rotation_matrix, to_camera
from ...fitting.fit import Fit
from ...fitting.solver.problem import landmark_places
from .gaze import TO_OPENCV

Floats = npt.NDArray[np.float64]
MILLIMETRES = 100.0  # in a decimetre


def euler_xyz(rotation: Floats) -> Floats:
    """Angles (3,), radians, of a rotation R = Rx Ry Rz; the middle one within a right angle."""
    y = np.arcsin(np.clip(rotation[0, 2], -1.0, 1.0))
    x = np.arctan2(-rotation[1, 2], rotation[2, 2])
    z = np.arctan2(-rotation[0, 1], rotation[0, 0])
    return np.array([x, y, z])


def opencv_rotation(pose: ArrayLike) -> Floats:
    """The head's rotation (3, 3) in OpenCV's camera coordinates: x right, y down, z away.

    pose: (6,), as `fitting.camera` has it. A face that looks into the camera has the identity.
    """
    rotation = rotation_matrix(np.asarray(pose, np.float64)[:3])
    return np.asarray(rotation * TO_OPENCV * TO_OPENCV[:, None])


def landmarks_in_space(fit: Fit, index: int) -> Floats:
    """The fitted 68 landmarks of a row, (68, 3) millimetres, OpenCV's camera coordinates."""
    pose = fit.pose[index]
    places = landmark_places(fit.model, fit.mesh(index), pose, fit.landmark_set)
    return np.asarray(to_camera(places, pose) * TO_OPENCV * MILLIMETRES)


def head_place(fit: Fit, index: int) -> Floats:
    """The middle of the head's 68 landmarks at rest, (3,) millimetres, OpenCV's axes."""
    points = fit.model.landmarks[fit.landmark_set]
    rest = points.on(fit.model.shape(fit.f_shape[index], np.zeros_like(fit.f_exp[index])))
    return np.asarray(to_camera(rest.mean(0)[None], fit.pose[index])[0] * TO_OPENCV * MILLIMETRES)


def yaw_pitch_roll(pose: ArrayLike) -> Floats:
    """Yaw, pitch and roll, (3,) degrees, of poses (6,); R = Rx(-pitch) Ry(yaw) Rz(roll), y up.

    Yaw is positive where the face turns to the image's right (the person's left), pitch where it
    looks up, roll where its top tilts to the image's left.
    """
    x, y, z = euler_xyz(rotation_matrix(np.asarray(pose, np.float64)[:3]))
    return np.asarray(np.degrees([y, -x, z]), np.float64)
