"""A morphable model: mean, identity and expression bases, and named points on its surface (Eq. 2).

`check_model` makes sure that the arrays of a model fit together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from .landmark_noise import LandmarkNoise, expected_shapes, noise_arrays

ASSET = Path(__file__).parents[1] / "assets" / "morphable_model.npz"
ASSET_FORMAT = "glee-morphable-model"
ASSET_VERSION = 1
HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points on a triangle mesh by barycentric coordinates.

    Attributes
    ----------
    vertices : (..., 3) int32, the corners of each point's triangle
    weights : (..., 3) float32, barycentric, each row sums to 1
    """

    vertices: NDArray[np.int32]
    weights: NDArray[np.float32]

    def on(self, mesh: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where the points lie on a mesh.

        Parameters
        ----------
        mesh : (n, 3) float, any unit

        Returns
        -------
        (..., 3) float64
            in the mesh's unit
        """
        corners = np.asarray(mesh, np.float64)[self.vertices]
        return np.asarray(np.einsum("...k,...kc->...c", self.weights.astype(np.float64), corners))

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, index: int | slice | NDArray[np.integer]) -> SurfacePoints:
        return SurfacePoints(self.vertices[index], self.weights[index])


@dataclass(frozen=True, eq=False)
class PointBasis:
    """The model reduced to surface points, whose shape is ... below.

    Attributes
    ----------
    mean : (..., 3) float64, decimetres
    identity : (k, ..., 3) float64, decimetres at one standard deviation
    expression : (e, ..., 3) float64, decimetres at coefficient 1
    """

    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """A linear 3D face model, ``M = mean + sum f_shape identity + sum f_exp expression`` (Eq. 2).

    Coordinates are decimetres, x to the person's left, y up, z to the front of the face.

    Attributes
    ----------
    name : of the model
    mean : (n, 3) float32, decimetres
    identity : (k, n, 3) float32, one standard deviation each; k = 60 for the embedded model
    expression : (e, n, 3) float32, displacement of each blendshape at coefficient 1; e = 51, the
        ARKit shapes, for the embedded model
    expression_names : (e,) the names of the expressions; they tell which basis it is
    triangles : (m, 3) int32, counter-clockwise seen from outside
    mirror : (n,) int32, the vertex on the other side of the face
    parts : (m,) uint8, index into part_names for each triangle
    part_names : of skin, lips, mouth, eyes, teeth, tongue, as far as the model has them
    landmarks : sets of 68 points in the iBUG order: ``anatomical`` and one for each detector
    jaw_candidates : (17, k) points, for each jaw landmark a line over the cheek, front to back
    curves : named polylines on which sliding landmarks lie
    uv : (n, 2) float32, texture coordinates, or None
    masks : (n,) float32 in [0, 1] each, soft vertex labels such as ``lips`` or ``eyelids``
    noise : for each calibrated landmark set how that detector errs
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
        """The mesh of an identity with an expression (Eq. 2).

        Parameters
        ----------
        f_shape : (k,) float, standard deviations, or None for the mean identity
        f_exp : (e,) float, coefficients, or None for the neutral face

        Returns
        -------
        (n, 3) float32
            decimetres
        """
        mesh = self.mean.copy()
        # Not by BLAS, whose sums depend on its number of threads: the same mesh everywhere.
        if f_shape is not None:
            mesh += np.einsum("k,knc->nc", np.asarray(f_shape, np.float32), self.identity)
        if f_exp is not None:
            mesh += np.einsum("e,enc->nc", np.asarray(f_exp, np.float32), self.expression)
        return mesh

    def at(self, points: SurfacePoints) -> PointBasis:
        """Reduce the model to surface points.

        Parameters
        ----------
        points : of any shape ...

        Returns
        -------
        PointBasis
            (..., 3) each
        """
        weights = points.weights.astype(np.float64)

        def reduce(basis: NDArray[np.float32]) -> NDArray[np.float64]:
            corners = basis[..., points.vertices, :].astype(np.float64)
            return np.asarray(np.einsum("...kc,...k->...c", corners, weights))

        return PointBasis(reduce(self.mean), reduce(self.identity), reduce(self.expression))

    def part_triangles(self, *names: str) -> NDArray[np.int32]:
        """The triangles of some parts.

        Parameters
        ----------
        names : of part_names; one that the model lacks has no triangles

        Returns
        -------
        (j, 3) int32
            vertices
        """
        wanted = [self.part_names.index(name) for name in names]
        return self.triangles[np.isin(self.parts, wanted)]


def check_model(model: MorphableModel, where: str) -> None:
    """Check that a model's arrays fit each other.

    Parameters
    ----------
    model : the morphable model
    where : what the message names, such as the file

    Raises
    ------
    DataError
        for the first array that does not fit, or where there are no landmarks
    """
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
