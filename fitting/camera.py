"""The pinhole camera and the head's pose: perspective projection P of Eq. 3.

Camera coordinates: x right, y up, z towards the viewer; the scene lies at negative z. A face that
looks straight into the camera has rotation vector 0. Image coordinates: x right, y down, pixel
centres at whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError

# Focal length over the longer image side where none is given: a view of 37 degrees, as of a
# portrait taken from about 1.5 m.
DEFAULT_FOCAL_RATIO = 1.5


@dataclass(frozen=True)
class Camera:
    """A camera without distortion, its principal point in the image's middle.

    Attributes
    ----------
    width, height : pixels
    focal : focal length, pixels
    """

    width: int
    height: int
    focal: float

    @classmethod
    def for_image(cls, width: int, height: int, focal: float | None = None) -> Camera:
        """The camera of an image.

        Parameters
        ----------
        width, height : pixels
        focal : pixels; by default 1.5 x the longer side

        Raises
        ------
        UsageError
            a size or the focal length is not positive and finite
        """
        if width <= 0 or height <= 0:
            raise UsageError(f"image size {width}x{height}: both sides must be positive")
        if focal is None:
            focal = DEFAULT_FOCAL_RATIO * max(width, height)
        if not (np.isfinite(focal) and focal > 0):
            raise UsageError(f"focal length {focal}: give a positive number of pixels")
        return cls(int(width), int(height), float(focal))

    @classmethod
    def around(cls, landmarks: ArrayLike, focal: float | None = None) -> Camera:
        """The camera of an image whose middle is that of the landmarks, where no size is known.

        Parameters
        ----------
        landmarks : (..., 2) float, source pixels, NaN where missing
        focal : pixels; by default 1.5 x the longer side of that image

        Raises
        ------
        UsageError
            no landmark is finite
        """
        points = np.asarray(landmarks, np.float64).reshape(-1, 2)
        if not np.isfinite(points).any():
            raise UsageError("landmarks: none is finite; nothing can be fitted")
        # The image reaches from 0 to as far beyond the bounding box as that is from 0.
        spread = np.nanmin(points, axis=0) + np.nanmax(points, axis=0)
        width, height = np.maximum(np.rint(spread) + 1, 1).astype(int)
        return cls.for_image(int(width), int(height), focal)

    @property
    def centre(self) -> tuple[float, float]:
        """The principal point (x, y), pixels."""
        return (self.width - 1) / 2.0, (self.height - 1) / 2.0

    def project(self, points: ArrayLike, pose: ArrayLike) -> NDArray[np.float64]:
        """Model points in the image: the projection P of Eq. 3.

        Parameters
        ----------
        points : (..., n, 3) float, decimetres, model coordinates
        pose : (..., 6) float, rotation vector (radians) and translation (decimetres)

        Returns
        -------
        (..., n, 2) float64
            pixels; NaN behind the camera
        """
        seen = to_camera(points, pose)
        depth = -seen[..., 2]
        depth = np.where(depth > 1e-6, depth, np.nan)
        return np.stack(
            [
                self.centre[0] + self.focal * seen[..., 0] / depth,
                self.centre[1] - self.focal * seen[..., 1] / depth,
            ],
            axis=-1,
        )


def to_camera(points: ArrayLike, pose: ArrayLike) -> NDArray[np.float64]:
    """Model points in camera coordinates.

    Parameters
    ----------
    points : (..., n, 3) float, decimetres, model coordinates
    pose : (..., 6) float, rotation vector (radians) and translation (decimetres)

    Returns
    -------
    (..., n, 3) float64
        decimetres
    """
    pose = np.asarray(pose, np.float64)
    rotation = rotation_matrix(pose[..., :3])
    turned = np.asarray(points, np.float64) @ np.swapaxes(rotation, -1, -2)
    return np.asarray(turned + pose[..., None, 3:])


def rotation_matrix(vector: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of rotation vectors, by Rodrigues' formula.

    Parameters
    ----------
    vector : (..., 3) float, radians

    Returns
    -------
    (..., 3, 3) float64
    """
    vector = np.asarray(vector, np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = np.zeros((*vector.shape[:-1], 3, 3))
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross[..., 1, 0], cross[..., 2, 0], cross[..., 2, 1] = z, -y, x
    # sin(a)/a and (1 - cos(a))/a^2 without division by zero.
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2.0 * np.pi)) ** 2
    return np.asarray(np.eye(3) + first * cross + second * (cross @ cross))


def rotation_vector(matrix: ArrayLike) -> NDArray[np.float64]:
    """Rotation vectors of rotation matrices.

    Parameters
    ----------
    matrix : (..., 3, 3) float

    Returns
    -------
    (..., 3) float64
        radians, of length 0 to pi
    """
    matrix = np.asarray(matrix, np.float64)
    flat = matrix.reshape(-1, 3, 3)
    # The unit quaternion is the eigenvector of K / 3 with the largest eigenvalue (Bar-Itzhack, New
    # method for extracting the quaternion from a rotation matrix, 2000); it holds at every angle.
    k = np.empty((len(flat), 4, 4))
    xx, yy, zz = flat[:, 0, 0], flat[:, 1, 1], flat[:, 2, 2]
    k[:, 0] = np.stack(
        [
            xx - yy - zz,
            flat[:, 0, 1] + flat[:, 1, 0],
            flat[:, 0, 2] + flat[:, 2, 0],
            flat[:, 2, 1] - flat[:, 1, 2],
        ],
        -1,
    )
    k[:, 1] = np.stack(
        [k[:, 0, 1], yy - xx - zz, flat[:, 1, 2] + flat[:, 2, 1], flat[:, 0, 2] - flat[:, 2, 0]], -1
    )
    k[:, 2] = np.stack([k[:, 0, 2], k[:, 1, 2], zz - xx - yy, flat[:, 1, 0] - flat[:, 0, 1]], -1)
    k[:, 3] = np.stack([k[:, 0, 3], k[:, 1, 3], k[:, 2, 3], xx + yy + zz], -1)
    _, vectors = np.linalg.eigh(k / 3.0)
    quaternion = vectors[..., -1]
    quaternion = quaternion * np.where(quaternion[:, 3:] < 0, -1.0, 1.0)
    sine = np.linalg.norm(quaternion[:, :3], axis=1)
    angle = 2.0 * np.arctan2(sine, quaternion[:, 3])
    scale = np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return np.asarray((quaternion[:, :3] * scale[:, None]).reshape(matrix.shape[:-1]))
