"""Points on a mesh found by rays: what is seen from the front at (x, y), or along any ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..morphable_model.morphable_model import SurfacePoints

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrontView:
    """A mesh seen from the front, along -z, without perspective.

    mesh: (n, 3) float64; triangles: (m, 3) int64; parts: (m,) uint8.
    """

    mesh: Points
    triangles: NDArray[np.int64]
    parts: NDArray[np.uint8]

    def hits(self, xy: Points) -> tuple[NDArray[np.int64], Points]:
        """First triangle met at each xy (k, 2) and the barycentric weights there (k, 3).

        The triangle is -1 where nothing is met.
        """
        origins = np.column_stack([xy, np.full(len(xy), 9.0)])
        return first_hits(self.mesh, self.triangles, origins, np.array([[0.0, 0.0, -1.0]]))

    def points(self, xy: Points) -> SurfacePoints:
        """The surface points seen at xy (k, 2); every one must meet the mesh."""
        hit, weights = self.hits(xy)
        if (hit < 0).any():
            raise ValueError(f"nothing is seen at {xy[hit < 0][0]}")
        return SurfacePoints(self.triangles[hit].astype(np.int32), weights.astype(np.float32))

    def part_at(self, xy: Points) -> NDArray[np.int64]:
        """The part seen at each xy (k, 2), -1 for none."""
        hit, _ = self.hits(xy)
        return np.where(hit < 0, -1, self.parts[hit].astype(np.int64))


def first_hits(
    mesh: Points, triangles: NDArray[np.int64], origins: Points, directions: Points
) -> tuple[NDArray[np.int64], Points]:
    """First triangle that each ray meets, by Moeller and Trumbore (1997).

    origins: (k, 3); directions: (k, 3) or (1, 3). Returns the triangles (k,), -1 for none, and
    the weights of their corners (k, 3).
    """
    corner = mesh[triangles[:, 0]]
    edge_1, edge_2 = mesh[triangles[:, 1]] - corner, mesh[triangles[:, 2]] - corner
    hit = np.full(len(origins), -1)
    weights = np.zeros((len(origins), 3))
    directions = np.broadcast_to(directions, origins.shape)
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
