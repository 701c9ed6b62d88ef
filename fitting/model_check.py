"""Checks that the arrays of a morphable model fit together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .morphable_model.landmark_noise import expected_shapes, noise_arrays
from .morphable_model.morphable_model import MorphableModel, SurfacePoints


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
