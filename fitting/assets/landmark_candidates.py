"""Surface points near a landmark, among which its calibration chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..morphable_model.morphable_model import MorphableModel, SurfacePoints

RADIUS = 0.16  # decimetres around the anatomical landmark on the mean head
STEPS = 5  # points along an edge of a triangle


@dataclass(frozen=True, eq=False)
class Candidates:
    """k surface points: vertices (k, 3) int64, weights (k, 3) float64."""

    vertices: NDArray[np.int64]
    weights: NDArray[np.float64]

    def mirrored(self, model: MorphableModel) -> Candidates:
        """The same points on the other side of the face."""
        return Candidates(model.mirror[self.vertices].astype(np.int64), self.weights)


def landmark_candidates(
    model: MorphableModel, landmark: SurfacePoints, *, middle: bool
) -> Candidates:
    """Points on skin and lips within RADIUS of a landmark, seen from the front.

    landmark: one point. middle: only points on the middle line of the face.
    """
    place = landmark.on(model.mean)
    triangles = model.part_triangles("skin", "lips").astype(np.int64)
    corners = model.mean[triangles].astype(np.float64)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0.0
    near = (np.linalg.norm(corners - place, axis=-1).min(1) < RADIUS) & facing
    options = _on_middle(model, triangles[near]) if middle else _inside(triangles[near])
    points = np.einsum("kcx,kc->kx", model.mean[options.vertices].astype(float), options.weights)
    close = np.linalg.norm(points - place, axis=1) < RADIUS
    return Candidates(options.vertices[close], options.weights[close])


def _inside(triangles: NDArray[np.int64]) -> Candidates:
    """A regular grid of points in each triangle, none of them on a border."""
    grid = [
        (i + 1 / 3, j + 1 / 3, STEPS - i - j - 2 / 3)
        for i in range(STEPS)
        for j in range(STEPS - i)
    ]
    weights = np.array(grid) / STEPS
    return Candidates(np.repeat(triangles, len(weights), 0), np.tile(weights, (len(triangles), 1)))


def _on_middle(model: MorphableModel, triangles: NDArray[np.int64]) -> Candidates:
    """Points on the edges whose ends are their own mirror."""
    edges = np.concatenate(
        [triangles[:, [0, 1, 2]], triangles[:, [1, 2, 0]], triangles[:, [2, 0, 1]]]
    )
    own = (model.mirror[edges[:, :2]] == edges[:, :2]).all(1)
    edges = edges[own]
    part = np.linspace(0.0, 1.0, 2 * STEPS + 1)
    weights = np.stack([1.0 - part, part, np.zeros_like(part)], 1)
    return Candidates(np.repeat(edges, len(part), 0), np.tile(weights, (len(edges), 1)))
