"""Calibrates dense points to a detector: where on the surface each of them lies on average.

On the renders of `samples`: a dense point becomes the surface point of the smallest mean square
distance to what the detector gave; the root of what is left is its deviation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..dense_points import DensePoints, surface_digest
from ..morphable_model.landmark_scheme import inter_ocular_distance
from ..morphable_model.morphable_model import MorphableModel, SurfacePoints
from .calibration import Sample, anatomical_pixels, samples

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
# An RGB image -> 68 landmarks (68, 2) and dense points (d, 2), pixels, or None without a face.
DenseDetect = Callable[[NDArray[np.uint8]], tuple[Floats, Floats] | None]

PARTS = ("skin", "lips", "eyes")
NEAREST = 6  # vertices whose triangles are looked through for a point
# Parts of an edge at which points on the borders of triangles are tried.
EDGE_STEPS = np.linspace(0.0, 1.0, 9)


def dense_samples(
    model: MorphableModel, detect: DenseDetect, count: int, seed: int
) -> tuple[list[Sample], Floats]:
    """Render random faces and ask the detector for landmarks and dense points.

    Parameters
    ----------
    model : the embedded model
    detect : RGB image -> landmarks (68, 2) and dense points (d, 2), pixels, or None
    count : number of renders
    seed : of the faces, their looks and the noise

    Returns
    -------
    found : list of Sample
        the n renders in which a face was found
    dense : (n, d, 2) float64
        their dense points, pixels
    """
    seen: dict[bytes, Floats] = {}

    def landmarks(image: NDArray[np.uint8]) -> Floats | None:
        found = detect(image)
        if found is None:
            return None
        seen[found[0].tobytes()] = found[1]
        return found[0]

    used = samples(model, landmarks, count, seed)
    return used, np.stack([seen[sample.detected.tobytes()] for sample in used])


def calibrated_dense(model: MorphableModel, found: list[Sample], dense: Floats) -> DensePoints:
    """The surface points nearest to dense points over the samples.

    Parameters
    ----------
    model : the embedded model
    found : n renders
    dense : (n, d, 2) float64, pixels

    Returns
    -------
    DensePoints
        with each point's deviation
    """
    scale = inter_ocular_distance(anatomical_pixels(model, found))
    pixels = np.stack([sample.pixels for sample in found])
    triangles = _front_triangles(model)
    # In inter-ocular distances, x and y of every frame one below the other: (2 n, v), (2 n, d).
    own = (pixels / scale[:, None, None]).transpose(0, 2, 1).reshape(2 * len(found), -1)
    aim = (dense / scale[:, None, None]).transpose(0, 2, 1).reshape(2 * len(found), -1)
    corners = np.unique(triangles)
    apart = (
        (own[:, corners] ** 2).sum(0)[:, None]
        - 2.0 * own[:, corners].T @ aim
        + (aim**2).sum(0)[None]
    )
    nearest = corners[np.argsort(apart, axis=0)[:NEAREST]]
    vertices = np.zeros((dense.shape[1], 3), np.int32)
    weights = np.zeros((dense.shape[1], 3), np.float32)
    deviation = np.zeros(dense.shape[1], np.float32)
    for point in range(dense.shape[1]):
        near = triangles[np.isin(triangles, nearest[:, point]).any(1)]
        best = _best_place(own, near, aim[:, point])
        vertices[point], weights[point], left = best
        deviation[point] = np.sqrt(left / len(aim))
    logger.info(
        "%d dense points, deviation %.4f in the median", len(vertices), np.median(deviation)
    )
    return DensePoints(SurfacePoints(vertices, weights), deviation, surface_digest(model))


def _front_triangles(model: MorphableModel) -> NDArray[np.int64]:
    """Triangles of the face that are seen from the front, (m, 3)."""
    parts = [name for name in PARTS if name in model.part_names]
    triangles = model.part_triangles(*parts).astype(np.int64)
    corners = model.mean[triangles].astype(np.float64)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0.0
    return triangles[facing]


def _best_place(
    own: Floats, triangles: NDArray[np.int64], aim: Floats
) -> tuple[NDArray[np.int64], Floats, float]:
    """Vertices, weights and sum of squared distances of the best place in triangles (m, 3).

    The least-squares place of each triangle where it lies inside, else points of its edges.
    """
    best: tuple[NDArray[np.int64], Floats, float] = (triangles[0], np.eye(3)[0], np.inf)
    for triangle in triangles:
        a, b, c = own[:, triangle[0]], own[:, triangle[1]], own[:, triangle[2]]
        sides = np.stack([b - a, c - a], 1)
        inner = np.linalg.lstsq(sides, aim - a, rcond=None)[0]
        tries = _edges()
        if inner.min() >= 0.0 and inner.sum() <= 1.0:
            tries = np.array([[1.0 - inner.sum(), *inner]])
        places = own[:, triangle] @ tries.T
        left = ((places - aim[:, None]) ** 2).sum(0)
        least = int(left.argmin())
        if left[least] < best[2]:
            best = triangle, tries[least], float(left[least])
    return best


def _edges() -> Floats:
    part, none = EDGE_STEPS, np.zeros_like(EDGE_STEPS)
    return np.concatenate(
        [
            np.stack([1.0 - part, part, none], 1),
            np.stack([none, 1.0 - part, part], 1),
            np.stack([part, none, 1.0 - part], 1),
        ]
    )
