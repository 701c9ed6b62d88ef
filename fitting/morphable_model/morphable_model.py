"""Mean, identity and expression bases, points on the surface; arrays that fit together.

The morphable model: mean, identity and expression bases, and named points on its surface.

Checks that the arrays of a morphable model fit together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from .landmark_noise import (
    LandmarkNoise,
    arrays_by_detector,
    expected_shapes,
    noise_arrays,
    noise_of_arrays,
)

ASSET = Path(__file__).parents[1] / "assets" / "morphable_model.npz"
ASSET_FORMAT = "glee-morphable-model"
ASSET_VERSION = 1
HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points on a triangle mesh by barycentric coordinates.

    vertices: (..., 3) int32 vertex indices; weights: (..., 3) float32, each row sums to 1.
    """

    vertices: NDArray[np.int32]
    weights: NDArray[np.float32]

    def on(self, mesh: NDArray[np.floating]) -> NDArray[np.float64]:
        """The points on a mesh (n, 3), any unit -> (..., 3) float64 in that unit."""
        corners = np.asarray(mesh, np.float64)[self.vertices]
        return np.asarray(np.einsum("...k,...kc->...c", self.weights.astype(np.float64), corners))

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, index: int | slice | NDArray[np.integer]) -> SurfacePoints:
        return SurfacePoints(self.vertices[index], self.weights[index])


@dataclass(frozen=True, eq=False)
class PointBasis:
    """The model reduced to P surface points, all float64, decimetres.

    mean: (..., 3); identity: (k, ..., 3); expression: (e, ..., 3), where ... is the points' shape.
    """

    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """A linear 3D face model, ``M = mean + sum f_shape identity + sum f_exp expression`` (Eq. 2).

    Coordinates are decimetres, x to the person's left, y up, z to the front of the face.

    mean: (n, 3) float32.
    identity: (k, n, 3) float32, one standard deviation each; k = 60 for the embedded model.
    expression: (e, n, 3) float32, displacement of each blendshape at coefficient 1; e = 51, the
        ARKit shapes, for the embedded model.
    expression_names: (e,) the names of the expressions; they tell which basis it is.
    triangles: (m, 3) int32, counter-clockwise seen from outside.
    mirror: (n,) int32, the vertex on the other side of the face.
    parts: (m,) uint8 index into part_names for each triangle.
    uv: (n, 2) float32 texture coordinates, or None.
    masks: soft vertex labels, (n,) float32 in [0, 1], such as ``lips`` or ``eyelids``.
    landmarks: sets of 68 points in the iBUG order: ``anatomical`` and one for each detector.
    jaw_candidates: (17, k) points: for each jaw landmark a line over the cheek, front to back.
    curves: named polylines on which sliding landmarks lie.
    noise: for each calibrated landmark set how that detector errs.
    """

    name: str
    mean: NDArray[np.float32]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    expression_names: tuple[str, ...]
    triangles: NDArray[np.int32]
    mirror: NDArray[np.int32]
    parts: NDArray[np.uint8]
    part_names: tuple[str, ...]
    landmarks: dict[str, SurfacePoints]
    jaw_candidates: SurfacePoints
    curves: dict[str, SurfacePoints]
    uv: NDArray[np.float32] | None = None
    masks: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    noise: dict[str, LandmarkNoise] = field(default_factory=dict)

    def shape(
        self, f_shape: ArrayLike | None = None, f_exp: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """The mesh for f_shape (k,) and f_exp (e,), either may be None -> (n, 3) float32."""
        mesh = self.mean.copy()
        # Not by BLAS, whose sums depend on its number of threads: the same mesh everywhere.
        if f_shape is not None:
            mesh += np.einsum("k,knc->nc", np.asarray(f_shape, np.float32), self.identity)
        if f_exp is not None:
            mesh += np.einsum("e,enc->nc", np.asarray(f_exp, np.float32), self.expression)
        return mesh

    def at(self, points: SurfacePoints) -> PointBasis:
        """The model reduced to surface points of any shape."""
        weights = points.weights.astype(np.float64)

        def reduce(basis: NDArray[np.float32]) -> NDArray[np.float64]:
            corners = basis[..., points.vertices, :].astype(np.float64)
            return np.asarray(np.einsum("...kc,...k->...c", corners, weights))

        return PointBasis(reduce(self.mean), reduce(self.identity), reduce(self.expression))

    def part_triangles(self, *names: str) -> NDArray[np.int32]:
        """The triangles of the named parts, (j, 3) int32."""
        wanted = [self.part_names.index(name) for name in names]
        return self.triangles[np.isin(self.parts, wanted)]


def _assemble(arrays: dict[str, NDArray[np.generic]]) -> MorphableModel:
    format_name, version = str(arrays["format"]), int(np.asarray(arrays["version"]).item())
    if format_name != ASSET_FORMAT or version != ASSET_VERSION:
        raise ValueError(f"format {format_name} version {version}, expected {ASSET_VERSION}")

    def basis(name: str) -> NDArray[np.float32]:
        steps = np.asarray(arrays[f"{name}_step"], np.float32)[:, None, None]
        return np.asarray(arrays[name]).astype(np.float32) * steps

    def points(name: str) -> SurfacePoints:
        vertices = np.asarray(arrays[f"{name}/vertices"]).astype(np.int32)
        return SurfacePoints(vertices, np.asarray(arrays[f"{name}/weights"]).astype(np.float32))

    def group(prefix: str) -> dict[str, SurfacePoints]:
        ending = "/vertices"
        keys = (key for key in arrays if key.startswith(prefix) and key.endswith(ending))
        return {key[len(prefix) : -len(ending)]: points(key[: -len(ending)]) for key in keys}

    masks = {key[6:]: np.asarray(arrays[key]) for key in arrays if key.startswith("masks/")}
    return MorphableModel(
        name=str(arrays["name"]),
        mean=np.asarray(arrays["mean"], np.float32),
        identity=basis("identity"),
        expression=basis("expression"),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        triangles=np.asarray(arrays["triangles"]).astype(np.int32),
        mirror=np.asarray(arrays["mirror"]).astype(np.int32),
        parts=np.asarray(arrays["parts"], np.uint8),
        part_names=tuple(str(name) for name in arrays["part_names"]),
        uv=np.asarray(arrays["uv"]).astype(np.float32),
        masks={name: mask.astype(np.float32) / 255.0 for name, mask in masks.items()},
        landmarks=group("landmarks/"),
        jaw_candidates=points("jaw_candidates"),
        curves=group("curves/"),
        noise={key: noise_of_arrays(own) for key, own in arrays_by_detector(arrays).items()},
    )


def check_model(model: MorphableModel, where: str) -> None:
    """Raise DataError, naming `where`, for the first array that does not fit the others."""
    n, m = len(model.mean), len(model.triangles)
    modes, expressions = len(model.identity), len(model.expression_names)
    shapes: list[tuple[str, NDArray[np.generic], tuple[int, ...]]] = [
        ("mean", model.mean, (n, 3)),
        ("identity", model.identity, (modes, n, 3)),
        ("expression", model.expression, (expressions, n, 3)),
        ("triangles", model.triangles, (m, 3)),
        ("mirror", model.mirror, (n,)),
        ("parts", model.parts, (m,)),
    ]
    shapes += [] if model.uv is None else [("uv", model.uv, (n, 2))]
    shapes += [(f"masks/{name}", mask, (n,)) for name, mask in model.masks.items()]
    for name, noise in model.noise.items():
        arrays = noise_arrays(noise)
        for key, shape in expected_shapes(arrays).items():
            shapes.append((f"noise/{name}/{key}", arrays[key], shape))
    for name, array, expected in shapes:
        if array.shape != expected:
            raise DataError(
                f"{where}: '{name}' has shape {array.shape}, expected {expected}; "
                "import the model again"
            )
    _in_range(where, "triangles", model.triangles, n)
    _in_range(where, "mirror", model.mirror, n)
    _in_range(where, "parts", model.parts, len(model.part_names))
    if not model.landmarks:
        raise DataError(f"{where}: the model has no landmarks; import it with a landmark file")
    for name, points in model.landmarks.items():
        _check_points(where, f"landmarks/{name}", points, (68, 3), n)
    for name, points in model.curves.items():
        _check_points(where, f"curves/{name}", points, (*points.vertices.shape[:1], 3), n)
    samples = model.jaw_candidates.vertices.shape[1:2]
    _check_points(where, "jaw_candidates", model.jaw_candidates, (17, *samples, 3), n)


def _check_points(
    where: str, name: str, points: SurfacePoints, expected: tuple[int, ...], count: int
) -> None:
    if points.vertices.shape != expected or points.weights.shape != expected:
        raise DataError(
            f"{where}: '{name}' has shapes {points.vertices.shape} and {points.weights.shape}, "
            f"expected {expected}; import the model again"
        )
    _in_range(where, name, points.vertices, count)
    if not np.allclose(points.weights.sum(-1), 1.0, atol=1e-3):
        raise DataError(f"{where}: the weights of '{name}' do not add up to 1")


def _in_range(where: str, name: str, indices: NDArray[np.integer], count: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise DataError(
            f"{where}: '{name}' names {indices.min()} to {indices.max()}, the model has 0 to "
            f"{count - 1}; import the model again"
        )
