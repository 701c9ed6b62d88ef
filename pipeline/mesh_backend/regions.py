"""Square regions of an image: a face's crop for the mesh, and letterboxes for the detector."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from ..face_view import Image, Transform, face_view
from ..landmarks.detector import Box
from ..landmarks.mesh.networks import CROP_SIDE
from ..turned_box import angle_of
from .face_detector import IMAGE_SIDE

# Side of a face's crop over the longer side of its box (MediaPipe's graph).
_CROP_OVER_BOX = 1.5


def crop_transform(box: Box) -> Transform:
    """(2, 3): from source pixels to pixels of the box's face crop."""
    side = _CROP_OVER_BOX * max(box.right - box.left, box.bottom - box.top, 1.0)
    scale = CROP_SIDE / side
    angle = angle_of(box)
    x, y = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[x, y], [-y, x]])
    centre = np.array([box.left + box.right, box.top + box.bottom]) / 2
    return np.column_stack([turn, CROP_SIDE / 2 - turn @ centre])


def crop_of(image: Image, transform: Transform) -> Image:
    """The (192, 192, 3) crop of a face; beyond the image its border goes on.

    Where the crop has at most half the image's resolution, it is averaged, not sampled.
    """
    scale = math.hypot(transform[0, 0], transform[0, 1])
    finer = min(max(math.floor(1 / scale), 1), 16)
    return face_view(image, transform, CROP_SIDE, finer, border=None)


def to_source(points: npt.NDArray[np.float32], transform: Transform) -> npt.NDArray[np.float32]:
    """Crop points (k, 3) in source pixels; the depth in the same unit."""
    turn = transform[:, :2]
    squared = float((turn[0] ** 2).sum())
    source = np.empty(points.shape, np.float32)
    # A rotation and one scale: the inverse is the transposed over the scale squared.
    source[:, :2] = (points[:, :2] - transform[:, 2]) @ (turn / squared)
    source[:, 2] = points[:, 2] / math.sqrt(squared)
    return source


def letterbox(image: Image) -> tuple[Image, Transform]:
    """An image in the middle of a black square of 128 pixels; the map from source pixels to it."""
    height, width = image.shape[:2]
    scale = IMAGE_SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (IMAGE_SIDE - size[0]) // 2, (IMAGE_SIDE - size[1]) // 2
    square = np.zeros((IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    square[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=how)
    steps = np.array([size[0] / width, size[1] / height])
    # Resizing keeps the outer corners in place; pixels' centres have whole coordinates.
    return square, np.column_stack([np.diag(steps), [left, top] + (steps - 1) / 2])
