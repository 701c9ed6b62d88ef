"""JAA-Net's alignment: a similarity that takes a face to a square crop, from five points."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...fitting.morphable_model.landmark_scheme import REGIONS

CROP_SIZE = 200
# Side of the square over the larger extent of the five points. Source: JAA-Net (Shao et al. 2018).
ENLARGEMENT = 2.9
BORDER_GREY = 128
_NOSE_TIP, _RIGHT_CORNER, _LEFT_CORNER = 30, 48, 54


def five_points(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Middle of each eye, nose tip and mouth corners of landmarks (68, 2) -> (5, 2) float64."""
    landmarks = np.asarray(landmarks, np.float64)
    return np.stack(
        [
            landmarks[list(REGIONS["right_eye"])].mean(0),
            landmarks[list(REGIONS["left_eye"])].mean(0),
            landmarks[_NOSE_TIP],
            landmarks[_RIGHT_CORNER],
            landmarks[_LEFT_CORNER],
        ]
    )


def alignment_transform(landmarks: ArrayLike, size: int = CROP_SIZE) -> NDArray[np.float64]:
    """The similarity from source pixels to crop pixels: (2, 3) float64.

    The eye line becomes level; the square of side 2.9 x the larger extent of the five points,
    centred on their bounding box, fills the crop, first pixel centre to last.

    landmarks: (68, 2), source pixels. size: side of the crop, pixels.
    Raises ValueError where the eyes coincide or a point is not finite.
    """
    points = five_points(landmarks)
    eyes = points[1] - points[0]
    distance = float(np.hypot(*eyes))
    if not np.isfinite(points).all() or distance == 0:
        raise ValueError("no alignment: the eyes coincide or a landmark is not finite")
    cosine, sine = eyes / distance
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    turned = points @ rotation.T
    low, high = turned.min(0), turned.max(0)
    half = 0.5 * ENLARGEMENT * float((high - low).max())
    scale = (size - 1) / (2.0 * half)
    shift = scale * (half - 0.5 * (low + high))
    return np.column_stack([scale * rotation, shift])


def align(image: NDArray[np.uint8], transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The crop: (size, size, 3) uint8; bilinear, grey 128 beyond the image.

    image: (h, w, 3) uint8. transform: (2, 3), source to crop pixels.
    """
    crop = cv2.warpAffine(
        image, transform, (size, size), flags=cv2.INTER_LINEAR, borderValue=(BORDER_GREY,) * 3
    )
    return np.asarray(crop, np.uint8)


def transform_points(points: ArrayLike, transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 2) under a transform (2, 3)."""
    return np.asarray(np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2])
