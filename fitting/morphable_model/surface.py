"""The nearest point of a triangle mesh, as barycentric coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .morphable_model import SurfacePoints

Points = NDArray[np.float64]
CANDIDATES = 16
# Rows whose candidates are compared at once: bounds the memory, not the result.
BLOCK = 4096


def triangle_normals(mesh: Points, triangles: NDArray[np.int64]) -> Points:
    """Unit normals (m, 3) of triangles; zero where a triangle has no area."""
    a, b, c = mesh[triangles[:, 0]], mesh[triangles[:, 1]], mesh[triangles[:, 2]]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.divide(normals, length, out=np.zeros_like(normals), where=length > 0))


def vertex_normals(mesh: Points, triangles: NDArray[np.int64]) -> Points:
    """Unit normals (n, 3): the triangles' normals summed by area; zero at unused vertices."""
    a, b, c = mesh[triangles[:, 0]], mesh[triangles[:, 1]], mesh[triangles[:, 2]]
    normals = np.zeros_like(mesh)
    face = np.cross(b - a, c - a)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], face)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.divide(normals, length, out=np.zeros_like(normals), where=length > 0))


class NearestSurface:
    """A mesh prepared for nearest-point queries.

    mesh: (n, 3) float64; triangles: (m, 3) int64. Of the triangles whose centres are nearest, those
    that face another way than the query's normal are left out where any other is at hand.
    """

    def __init__(self, mesh: Points, triangles: NDArray[np.int64]) -> None:
        self.mesh, self.triangles = mesh, triangles
        self.normals = triangle_normals(mesh, triangles)
        self._border = _border_vertices(len(mesh), triangles)
        self._tree = cKDTree(mesh[triangles].mean(1))
        self._candidates = min(CANDIDATES, len(triangles))

    def query(
        self, points: Points, normals: Points | None = None
    ) -> tuple[SurfacePoints, Points, NDArray[np.int64]]:
        """The nearest points of the mesh to (j, 3): where, distances (j,), triangles (j,)."""
        found = [
            self._block(
                points[start : start + BLOCK],
                None if normals is None else normals[start : start + BLOCK],
            )
            for start in range(0, len(points), BLOCK)
        ]
        weights, distance, triangle = (np.concatenate(part) for part in zip(*found, strict=True))
        corners = self.triangles[triangle].astype(np.int32)
        return SurfacePoints(corners, weights.astype(np.float32)), distance, triangle

    def at_border(self, points: SurfacePoints) -> NDArray[np.bool_]:
        """Which of the mesh's points lie on an edge where the mesh ends, (j,) bool."""
        inner = ~self._border[points.vertices]
        return np.asarray((inner * points.weights).sum(-1) < 1e-6)

    def _block(
        self, points: Points, normals: Points | None
    ) -> tuple[Points, Points, NDArray[np.int64]]:
        _, near = self._tree.query(points, k=self._candidates)
        near = near.reshape(len(points), -1)
        weights = _closest_weights(points[:, None], self.mesh[self.triangles[near]])
        places = np.einsum("jkc,jkcd->jkd", weights, self.mesh[self.triangles[near]])
        distance = np.linalg.norm(places - points[:, None], axis=2)
        chosen = distance
        if normals is not None:
            facing = np.einsum("jkd,jd->jk", self.normals[near], normals) > 0.2
            facing |= ~facing.any(1, keepdims=True)
            chosen = np.where(facing, distance, np.inf)
        best = chosen.argmin(1)
        row = np.arange(len(points))
        return weights[row, best], distance[row, best], near[row, best]


def _border_vertices(count: int, triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Vertices of edges that only one triangle has, (count,) bool."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges, used = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[edges[used == 1]] = True
    return border


def _closest_weights(point: Points, corners: Points) -> Points:
    """Barycentric weights (..., 3) of the triangle's point closest to `point` (..., 3).

    corners: (..., 3, 3). The foot on the plane where that is inside, else the nearest on an edge.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    options = [np.stack([1 - s - t, s, t], -1)]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        length = np.maximum((edge * edge).sum(-1), 1e-30)
        along = np.clip(((point - start) * edge).sum(-1) / length, 0.0, 1.0)
        option = np.zeros((*along.shape, 3))
        option[..., first], option[..., second] = 1 - along, along
        options.append(option)
    weights = np.stack(options, -2)
    places = np.einsum("...ok,...kd->...od", weights, corners)
    distance = ((places - point[..., None, :]) ** 2).sum(-1)
    distance[..., 0][(options[0] < 0).any(-1)] = np.inf
    best = distance.argmin(-1)
    return np.asarray(np.take_along_axis(weights, best[..., None, None], -2)[..., 0, :])
