"""Geometry of a triangle mesh: normals, the nearest point, edges, and points found by rays.

Points on the surface come as barycentric coordinates (`SurfacePoints`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.spatial import cKDTree

from .morphable_model import SurfacePoints

Points = NDArray[np.float64]
Real = TypeVar("Real", bound=np.floating[Any])
CANDIDATES = 16
# Rows whose candidates are compared at once: bounds the memory, not the result.
BLOCK = 4096


def triangle_normals(mesh: Points, triangles: NDArray[np.int64]) -> Points:
    """Unit normals of triangles.

    Parameters
    ----------
    mesh : (n, 3) float64, any unit
    triangles : (m, 3) int64

    Returns
    -------
    (m, 3) float64
        zero where a triangle has no area
    """
    a, b, c = mesh[triangles[:, 0]], mesh[triangles[:, 1]], mesh[triangles[:, 2]]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.divide(normals, length, out=np.zeros_like(normals), where=length > 0))


def vertex_normals(mesh: NDArray[Real], triangles: NDArray[np.integer]) -> NDArray[Real]:
    """Unit normals of a mesh's vertices: the triangles' normals summed by area.

    Parameters
    ----------
    mesh : (n, 3) float32 or float64
    triangles : (m, 3) int

    Returns
    -------
    (n, 3) of the mesh's type
        zero at unused vertices
    """
    normals = np.zeros_like(mesh)
    _add_normals(mesh, triangles, normals)
    return normals


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_normals(
    points: NDArray[Any], triangles: NDArray[np.integer], normals: NDArray[Any]
) -> None:
    # The cross product of two edges has the triangle's normal and twice its area, so that its sum
    # over a vertex's triangles weighs them by area.
    for index in range(len(triangles)):
        a, b, c = triangles[index]
        ux, uy, uz = points[b] - points[a]
        vx, vy, vz = points[c] - points[a]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for vertex in range(len(normals)):
        x, y, z = normals[vertex]
        length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))
        for axis in range(3):
            normals[vertex, axis] /= length


class NearestSurface:
    """A mesh prepared for nearest-point queries.

    Of the triangles whose centres are nearest, those that face another way than the query's normal
    are left out where any other is at hand.

    Parameters
    ----------
    mesh : (n, 3) float64, any unit
    triangles : (m, 3) int64
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
        """Find the nearest points of the mesh.

        Parameters
        ----------
        points : (j, 3) float64, the mesh's unit
        normals : (j, 3) float64, the directions that the surface there must face, or None

        Returns
        -------
        points : (j,) SurfacePoints
            the nearest places
        distance : (j,) float64
            to them, the mesh's unit
        triangle : (j,) int64
            those that they lie on
        """
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
        """Say which points lie on an edge where the mesh ends.

        Parameters
        ----------
        points : (j,) points of the mesh

        Returns
        -------
        (j,) bool
        """
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
    # Foot on the plane: the normal equations of |w - s u - t v|^2 in s and t, by Cramer's rule.
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    options = [np.stack([1 - s - t, s, t], -1)]
    # Feet on the three edges, kept between their ends.
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


def mesh_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """The edges of triangles, each once.

    Parameters
    ----------
    triangles : (m, 3) int64

    Returns
    -------
    (e, 2) int64
        vertices, the smaller first
    """
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def laplacian_of(edges: NDArray[np.int64], count: int) -> csr_matrix:
    """The graph Laplacian of edges: degrees less adjacency.

    Parameters
    ----------
    edges : (e, 2) int64, each once
    count : of the vertices

    Returns
    -------
    (count, count) sparse float64
    """
    ones = np.ones(len(edges))
    one_way = coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    adjacency = one_way + one_way.T
    return csr_matrix(diags(np.asarray(adjacency.sum(1)).reshape(-1)) - adjacency)


@dataclass(frozen=True, eq=False)
class FrontView:
    """A mesh seen from the front, along -z, without perspective.

    Attributes
    ----------
    mesh : (n, 3) float64, decimetres
    triangles : (m, 3) int64
    parts : (m,) uint8
    """

    mesh: Points
    triangles: NDArray[np.int64]
    parts: NDArray[np.uint8]

    def hits(self, xy: Points) -> tuple[NDArray[np.int64], Points]:
        """The first triangle met at each place of the view.

        Parameters
        ----------
        xy : (k, 2) float64, decimetres

        Returns
        -------
        triangle : (k,) int64
            -1 where nothing is met
        weights : (k, 3) float64
            barycentric, of the triangle's corners
        """
        origins = np.column_stack([xy, np.full(len(xy), 9.0)])
        return first_hits(self.mesh, self.triangles, origins, np.array([[0.0, 0.0, -1.0]]))

    def points(self, xy: Points) -> SurfacePoints:
        """The surface points seen at places of the view.

        Parameters
        ----------
        xy : (k, 2) float64, decimetres

        Returns
        -------
        SurfacePoints
            (k,) points

        Raises
        ------
        ValueError
            nothing is seen at a place
        """
        hit, weights = self.hits(xy)
        if (hit < 0).any():
            raise ValueError(f"nothing is seen at {xy[hit < 0][0]}")
        return SurfacePoints(self.triangles[hit].astype(np.int32), weights.astype(np.float32))

    def part_at(self, xy: Points) -> NDArray[np.int64]:
        """The part seen at each place of the view.

        Parameters
        ----------
        xy : (k, 2) float64, decimetres

        Returns
        -------
        (k,) int64
            -1 where nothing is seen
        """
        hit, _ = self.hits(xy)
        return np.where(hit < 0, -1, self.parts[hit].astype(np.int64))


def first_hits(
    mesh: Points, triangles: NDArray[np.int64], origins: Points, directions: Points
) -> tuple[NDArray[np.int64], Points]:
    """The first triangle that each ray meets (Moeller and Trumbore 1997).

    Parameters
    ----------
    mesh : (n, 3) float64, any unit
    triangles : (m, 3) int64
    origins : (k, 3) float64, the mesh's unit
    directions : (k, 3) float64 of any length, or (1, 3) for all rays

    Returns
    -------
    triangle : (k,) int64
        -1 where nothing is met
    weights : (k, 3) float64
        barycentric, of the triangle's corners
    """
    corner = mesh[triangles[:, 0]]
    edge_1, edge_2 = mesh[triangles[:, 1]] - corner, mesh[triangles[:, 2]] - corner
    hit = np.full(len(origins), -1)
    weights = np.zeros((len(origins), 3))
    directions = np.broadcast_to(directions, origins.shape)
    # With o + t d = a + u e1 + v e2 and Cramer's rule: p = d x e2, s = o - a, q = s x e1, and
    # u = s p / (e1 p), v = d q / (e1 p), t = e2 q / (e1 p). One ray against all triangles.
    for ray, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        p = np.cross(direction, edge_2)
        determinant = (edge_1 * p).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = origin - corner
            u = (s * p).sum(1) / determinant
            q = np.cross(s, edge_1)
            v = (q @ direction) / determinant
            distance = (edge_2 * q).sum(1) / determinant
            met = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (distance > 0)
        if met.any():
            nearest = int(np.where(met, distance, np.inf).argmin())
            hit[ray] = nearest
            weights[ray] = 1 - u[nearest] - v[nearest], u[nearest], v[nearest]
    return hit, weights
