"""A morphable model as its file holds it, before it is brought to glee's conventions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from ..morphable_model.morphable_model import SurfacePoints

MAX_VERTICES = 1_000_000
UNITS = {"m": 10.0, "dm": 1.0, "cm": 0.1, "mm": 0.01, "um": 1e-5}


@dataclass(frozen=True, eq=False)
class RawModel:
    """A linear face model in its file's axes and unit.

    source: the file, for messages. mean: (n, 3) float64. identity: (k, n, 3) float32, one standard
    deviation each. expression: (e, n, 3) float32 at coefficient 1, e may be 0. triangles: (m, 3)
    int64 from 0. landmarks: 68 points or None. unit: a key of UNITS, or None where the format
    does not say. parts: (m,) uint8 into part_names. uv: (n, 2). mirror: (n,) int64.
    """

    source: Path
    name: str
    mean: NDArray[np.float64]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    expression_names: tuple[str, ...]
    triangles: NDArray[np.int64]
    unit: str | None
    landmarks: SurfacePoints | None = None
    parts: NDArray[np.uint8] | None = None
    part_names: tuple[str, ...] = ("skin",)
    uv: NDArray[np.float64] | None = None
    mirror: NDArray[np.int64] | None = None
    masks: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def no_expressions(vertex_count: int) -> NDArray[np.float32]:
    """The expression basis of a model that has none, (0, n, 3)."""
    return np.zeros((0, vertex_count, 3), np.float32)


def as_mean(source: Path, array: ArrayLike) -> NDArray[np.float64]:
    """A mean shape stored as (3n,), (3n, 1), (1, 3n) or (n, 3) -> (n, 3) float64.

    Raises DataError where the length is no multiple of 3 or too large.
    """
    flat = np.asarray(array, np.float64).reshape(-1)
    if len(flat) == 0 or len(flat) % 3:
        raise DataError(f"{source}: the mean has {len(flat)} values, not x, y, z of each vertex")
    if len(flat) > 3 * MAX_VERTICES:
        raise DataError(
            f"{source}: the mean has {len(flat) // 3:,} vertices; glee takes at most "
            f"{MAX_VERTICES:,}, give a reduced model"
        )
    return flat.reshape(-1, 3)


def as_modes(
    source: Path,
    components: NDArray[np.generic],
    deviations: ArrayLike,
    vertex_count: int,
    limit: int | None,
) -> NDArray[np.float32]:
    """Eigenvectors in columns (3n, k) times standard deviations (k,) -> (k, n, 3) float32.

    limit: the number of leading modes to keep, or None for all.

    Raises DataError where the shapes do not fit or a deviation is negative.
    """
    deviations = np.asarray(deviations, np.float64).reshape(-1)
    expected = (3 * vertex_count, len(deviations))
    if components.shape != expected:
        raise DataError(
            f"{source}: components have shape {components.shape}; {vertex_count} vertices and "
            f"{len(deviations)} eigenvalues ask for {expected}"
        )
    if len(deviations) == 0 or (deviations < 0).any():
        raise DataError(f"{source}: has no eigenvalues, or negative ones; check the file")
    scaled = np.asarray(components[:, :limit], np.float64) * deviations[:limit]
    return np.asarray(scaled.T.reshape(-1, vertex_count, 3), np.float32)


def as_deviations(source: Path, variances: ArrayLike) -> NDArray[np.float64]:
    """Square roots of variances; raises DataError where one is negative."""
    variances = np.asarray(variances, np.float64).reshape(-1)
    if (variances < 0).any():
        raise DataError(f"{source}: has a negative eigenvalue {variances.min():g}; check the file")
    return np.asarray(np.sqrt(variances))


def as_triangles(
    source: Path, array: NDArray[np.generic], vertex_count: int, *, first: int = 0
) -> NDArray[np.int64]:
    """Triangles (m, 3) or (3, m) counted from `first` -> (m, 3) int64 from 0.

    Raises DataError where they are no triangles or name a missing vertex.
    """
    array = np.asarray(array)
    if array.ndim == 2 and array.shape[1] != 3 and array.shape[0] == 3:
        array = array.T
    if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
        raise DataError(f"{source}: triangles have shape {array.shape}, expected (m, 3)")
    triangles = array.astype(np.int64) - first
    if triangles.min() < 0 or triangles.max() >= vertex_count:
        raise DataError(
            f"{source}: triangles name vertices {triangles.min()} to {triangles.max()}, the mean "
            f"has 0 to {vertex_count - 1}; mean and triangles are of different topologies"
        )
    return triangles


def vertex_points(source: Path, indices: ArrayLike, vertex_count: int) -> SurfacePoints:
    """Landmarks at vertices (68,) as surface points.

    Raises DataError where they are not 68 distinct indices in range.
    """
    indices = np.asarray(indices)
    if indices.shape != (68,) or indices.dtype.kind not in "iu":
        raise DataError(
            f"{source}: landmarks have shape {indices.shape} ({indices.dtype}); give 68 vertex "
            "indices from 0 in the iBUG order"
        )
    bad = indices[(indices < 0) | (indices >= vertex_count)]
    if bad.size:
        raise DataError(
            f"{source}: landmark vertex {int(bad[0])} is out of range, the model has "
            f"{vertex_count} vertices (from 0)"
        )
    if len(np.unique(indices)) < 60:
        raise DataError(f"{source}: many landmarks name one vertex; give 68 different ones")
    vertices = np.repeat(indices[:, None], 3, axis=1).astype(np.int32)
    weights = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (68, 1))
    return SurfacePoints(vertices, weights)
