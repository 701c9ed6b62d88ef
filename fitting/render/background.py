"""What stands behind the head: a wall, blurred things, shoulders in cloth."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Camera
from .appearance import Appearance

Float32 = NDArray[np.float32]

# Collar and shoulder of the person's left half, decimetres from the neck's cut.
SHOULDER = np.array(
    [
        *([0.0, 0.16], [0.30, 0.22], [0.55, 0.44], [0.72, 0.50], [1.0, 0.44]),
        *([1.4, 0.30], [2.0, 0.0], [2.4, -0.8], [2.6, -6.0]),
    ]
)
SHOULDER_Z = 0.1
# A scarf's left half from under the nose to the neck, decimetres, in front of the face.
SCARF = np.array(
    [[0.0, -0.46, 1.25], [0.5, -0.42, 0.9], [0.74, -0.35, 0.3], [0.7, -1.5, 0.3], [0.0, -1.6, 0.9]]
)
SHOULDER_TURN = 0.25  # share of the head's turn


@lru_cache(maxsize=8)
def backdrop(appearance: Appearance, width: int, height: int) -> Float32:
    """The background of a picture, kept for the next one.

    Parameters
    ----------
    appearance : its kind of background and its seed
    width, height : of the picture, pixels

    Returns
    -------
    (height, width, 3) float32
        linear RGB, read-only
    """
    rng = np.random.default_rng([appearance.seed, 2])
    base = rng.uniform(0.06, 0.75) * rng.uniform(0.8, 1.2, 3)
    image = np.empty((height, width, 3), np.float32)
    image[:] = base
    if appearance.background != "plain":
        image *= _gradient(rng, width, height)
    if appearance.background == "clutter":
        _clutter(image, rng)
        blur = rng.uniform(0.002, 0.02) * width
        cv2.GaussianBlur(image, (0, 0), float(blur), dst=image)
    result = np.clip(image, 0.0, 1.0).astype(np.float32)
    result.flags.writeable = False
    return result


def _gradient(rng: np.random.Generator, width: int, height: int) -> Float32:
    corners = rng.uniform(0.55, 1.35, (2, 2, 1)) * rng.uniform(0.93, 1.07, (2, 2, 3))
    return np.asarray(
        cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    )


def _clutter(image: Float32, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(6, 22))):
        colour = tuple(float(c) for c in rng.uniform(0.02, 0.8) * rng.uniform(0.6, 1.3, 3))
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = (int(rng.uniform(0.02, 0.25) * width), int(rng.uniform(0.02, 0.4) * height))
        if rng.random() < 0.6:
            corner = (centre[0] + size[0], centre[1] + size[1])
            cv2.rectangle(image, centre, corner, colour, -1)
        else:
            cv2.ellipse(image, centre, size, float(rng.uniform(0, 180)), 0, 360, colour, -1)


def add_shoulders(
    image: Float32, appearance: Appearance, camera: Camera, pose: NDArray[np.float64], neck: float
) -> None:
    """Draw the shoulders into an image; they follow the head's place, and a share of its turn.

    Parameters
    ----------
    image : (h, w, 3) float32, linear RGB, changed in place
    appearance : the cloth's colour
    camera : of the image
    pose : (6,) float64, rotation vector (radians) and translation (decimetres) of the head
    neck : height of the cut through the neck, model coordinates, decimetres
    """
    outline = np.concatenate([SHOULDER, SHOULDER[::-1] * (-1.0, 1.0)])
    points = np.column_stack(
        [outline[:, 0], outline[:, 1] + neck, np.full(len(outline), SHOULDER_Z)]
    )
    turned = np.concatenate([SHOULDER_TURN * pose[:3], pose[3:]])
    polygon = camera.project(points, turned)
    if not np.isfinite(polygon).all():
        return
    cloth = [float((c / 255.0) ** 2 * 0.7) for c in appearance.cloth]
    fixed = np.rint(polygon * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], cloth, cv2.LINE_AA, 4)


def add_face_cloth(
    image: Float32, appearance: Appearance, camera: Camera, pose: NDArray[np.float64]
) -> None:
    """Draw a scarf over mouth and chin into an image; it follows the head.

    Parameters
    ----------
    image : (h, w, 3) float32, linear RGB, changed in place
    appearance : the cloth's colour
    camera : of the image
    pose : (6,) float64, rotation vector (radians) and translation (decimetres) of the head
    """
    polygon = camera.project(np.concatenate([SCARF, SCARF[::-1] * (-1.0, 1.0, 1.0)]), pose)
    if not np.isfinite(polygon).all():
        return
    cloth = [float((c / 255.0) ** 2 * 0.45) for c in appearance.cloth]
    fixed = np.rint(polygon * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], cloth, cv2.LINE_AA, 4)
