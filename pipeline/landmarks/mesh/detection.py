"""Anchors to faces; square regions.

From the face detector's 896 anchors to faces: decoding and weighted non-maximum suppression.

Square regions of an image: a face's crop for the mesh, and letterboxes for the detector.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ...images.crops import Image, Transform, face_view
from ..detector import Box, TurnedBox, angle_of
from .architecture import ANCHORS, CROP_SIDE, IMAGE_SIDE

# As in MediaPipe's graph: the least probability of a face, and the overlap (intersection over
# union) from which boxes are of the same face.
MINIMUM_SCORE = 0.5
SAME_FACE = 0.3
_RIGHT_EYE, _LEFT_EYE = 0, 1


@lru_cache(maxsize=8)
def anchor_centres(height: int = IMAGE_SIDE, width: int = IMAGE_SIDE) -> npt.NDArray[np.float32]:
    """(a, 2), pixels of the detector's image: cells row by row, an anchor's repeats together.

    a: 896 of the network's own image.
    """
    centres = []
    for side, repeats in ANCHORS:
        cell = IMAGE_SIDE // side
        rows, columns = ((np.arange(length // cell) + 0.5) * cell for length in (height, width))
        y, x = np.meshgrid(rows, columns, indexing="ij")
        centres.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def faces_from(
    numbers: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    size: tuple[int, int] = (IMAGE_SIDE, IMAGE_SIDE),
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Faces of an image, best first: corners and points (k, 8, 2), probabilities (k,).

    numbers: (896, 16), scores: (896,), as `FaceDetectorOutput`. size: height and width of the
    image that the detector saw. The first two of the 8 are the box's low and high corner, then
    eyes (right, left), nose, mouth, ears; pixels of the detector's image. Faces that overlap are
    one: the mean, weighted by probability.
    """
    probability = 1.0 / (1.0 + np.exp(-np.clip(scores.astype(np.float64), -100, 100)))
    likely = np.flatnonzero(probability >= MINIMUM_SCORE)
    order = likely[np.argsort(-probability[likely], kind="stable")]
    pairs = numbers[order].reshape(-1, 8, 2).astype(np.float64)
    centre = anchor_centres(*size)[order, None]
    shapes = pairs + centre
    middle, half = shapes[:, 0].copy(), pairs[:, 1] / 2
    shapes[:, 0], shapes[:, 1] = middle - half, middle + half
    return _merge(shapes, probability[order])


def _merge(
    shapes: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    faces, best = [], []
    while len(shapes):
        same = _overlap_with_first(shapes) > SAME_FACE
        same[0] = True
        faces.append(np.average(shapes[same], axis=0, weights=probability[same]))
        best.append(probability[0])
        shapes, probability = shapes[~same], probability[~same]
    return np.array(faces).reshape(-1, 8, 2), np.array(best)


def _overlap_with_first(shapes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = shapes[:, 0], shapes[:, 1]
    both = np.clip(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0, None).prod(1)
    area = np.clip(high - low, 0, None).prod(1)
    union = area + area[0] - both
    return np.asarray(both / np.maximum(union, 1e-9), np.float64)


def box_of_face(face: npt.NDArray[np.float64]) -> TurnedBox:
    """A face's box, turned as its eyes are. face: (8, 2), as `faces_from` gives it."""
    x, y = face[2 + _LEFT_EYE] - face[2 + _RIGHT_EYE]
    left, top, right, bottom = (float(side) for side in face[:2].ravel())
    return TurnedBox(left, top, right, bottom, math.atan2(y, x))


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


def crop_of(image: Image, transform: Transform, channels: int = 3) -> Image:
    """The crop of a face, (256, 256, channels); beyond the image its border goes on.

    channels: 3, or 4 for one more that means nothing, which takes less time.

    Where the crop has at most half the image's resolution, it is averaged, not sampled.
    """
    scale = math.hypot(transform[0, 0], transform[0, 1])
    finer = min(max(math.floor(1 / scale), 1), 16)
    return face_view(image, transform, CROP_SIDE, finer, None, channels)


def to_source(points: npt.NDArray[np.float32], transform: Transform) -> npt.NDArray[np.float32]:
    """Crop points (k, 3) in source pixels; the depth in the same unit."""
    (a, b, x), (c, d, y) = transform.tolist()
    squared = a * a + b * b
    across, down = points[:, 0] - np.float64(x), points[:, 1] - np.float64(y)
    source = np.empty(points.shape, np.float32)
    # A rotation and one scale: the inverse is the transposed over the scale squared.
    source[:, 0] = across * (a / squared) + down * (c / squared)
    source[:, 1] = across * (b / squared) + down * (d / squared)
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
