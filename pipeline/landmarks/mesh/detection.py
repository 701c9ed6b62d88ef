"""From the face detector's 896 anchors to faces: decoding and weighted non-maximum suppression."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...mesh_backend.face_detector import ANCHORS, IMAGE_SIDE
from ...turned_box import TurnedBox

# As in MediaPipe's graph: the least probability of a face, and the overlap (intersection over
# union) from which boxes are of the same face.
MINIMUM_SCORE = 0.5
SAME_FACE = 0.3
_RIGHT_EYE, _LEFT_EYE = 0, 1


@lru_cache(maxsize=1)
def anchor_centres() -> npt.NDArray[np.float32]:
    """(896, 2), pixels of the detector's image: cells row by row, an anchor's repeats together."""
    centres = []
    for side, repeats in ANCHORS:
        cells = (np.arange(side) + 0.5) * (IMAGE_SIDE / side)
        y, x = np.meshgrid(cells, cells, indexing="ij")
        centres.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def faces_from(
    numbers: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Faces of an image, best first: corners and points (k, 8, 2), probabilities (k,).

    numbers: (896, 16), scores: (896,), as `FaceDetectorOutput`. The first two of the 8 are the
    box's low and high corner, then eyes (right, left), nose, mouth, ears; pixels of the
    detector's image. Faces that overlap are one: the mean, weighted by probability.
    """
    probability = 1.0 / (1.0 + np.exp(-np.clip(scores.astype(np.float64), -100, 100)))
    likely = np.flatnonzero(probability >= MINIMUM_SCORE)
    order = likely[np.argsort(-probability[likely], kind="stable")]
    pairs = numbers[order].reshape(-1, 8, 2).astype(np.float64)
    centre = anchor_centres()[order, None]
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
