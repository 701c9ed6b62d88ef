"""Reads a morphable model from an .npz with documented keys; `exporters/export.py` writes such.

Needed: `mean` (n, 3), `identity` (k, n, 3) at one standard deviation, `triangles` (m, 3) from 0.
Optional: `expression` (e, n, 3) at coefficient 1 with `expression_names` (e,); `landmarks` (68,)
vertex indices, or `landmark_vertices` and `landmark_weights` (68, 3); `unit` (m, dm, cm, mm, um);
`name`; `uv` (n, 2); `mirror` (n,); `parts` (m,) with `part_names`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..array_files import NpzFile, numbers, open_npz, required_shape, text
from ..morphable_model.morphable_model import SurfacePoints
from .raw_model import RawModel, as_mean, as_triangles, no_expressions, vertex_points
from .user_files import surface_points


def read_generic_npz(path: Path, identity_modes: int) -> RawModel:
    """Read the model in an ``.npz`` with the keys above.

    Parameters
    ----------
    path : the ``.npz``
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    RawModel

    Raises
    ------
    DataError
        a needed array is missing or one does not fit
    """
    with open_npz(path) as file:
        mean = as_mean(path, numbers(file, "mean", what="mean shape, (n, 3)"))
        n = len(mean)
        identity = _basis(file, "identity", n)[:identity_modes]
        has_expression = file.shape("expression") is not None
        expression = _basis(file, "expression", n) if has_expression else no_expressions(n)
        triangles = as_triangles(path, numbers(file, "triangles", what="triangles"), n)
        names = tuple(text(file, "expression_names")) if has_expression else ()
        _fits(path, "expression_names", len(names), len(expression))
        parts, uv, mirror = (_optional(file, key) for key in ("parts", "uv", "mirror"))
        part_names = ("skin",) if parts is None else tuple(text(file, "part_names"))
        model = RawModel(
            source=path,
            name=(_word(file, "name") or path.stem),
            mean=mean,
            identity=identity,
            expression=expression,
            expression_names=names,
            triangles=triangles,
            unit=_word(file, "unit"),
            landmarks=_landmarks(file, n),
            parts=None if parts is None else parts.astype(np.uint8),
            part_names=part_names,
            uv=None if uv is None else uv.astype(np.float64),
            mirror=None if mirror is None else mirror.astype(np.int64),
        )
    return _checked(model)


def _basis(file: NpzFile, name: str, vertex_count: int) -> NDArray[np.float32]:
    shape = required_shape(file, name, what="modes, (k, n, 3)")
    if len(shape) != 3 or shape[1:] != (vertex_count, 3) or shape[0] == 0:
        raise DataError(f"{file.path}: '{name}' has shape {shape}, expected (k, {vertex_count}, 3)")
    return numbers(file, name, what="modes").astype(np.float32)


def _optional(file: NpzFile, name: str) -> NDArray[Any] | None:
    return None if file.shape(name) is None else numbers(file, name, what="optional")


def _word(file: NpzFile, name: str) -> str | None:
    if file.shape(name) is None:
        return None
    words = text(file, name)
    return words[0] if words else None


def _landmarks(file: NpzFile, vertex_count: int) -> SurfacePoints | None:
    corners = _optional(file, "landmark_vertices")
    if corners is not None:
        weights = numbers(file, "landmark_weights", what="weights of each landmark")
        return surface_points(file.path, corners, weights, vertex_count)
    indices = _optional(file, "landmarks")
    return None if indices is None else vertex_points(file.path, indices, vertex_count)


def _fits(path: Path, name: str, found: int, expected: int) -> None:
    if found != expected:
        raise DataError(f"{path}: '{name}' has {found} entries, expected {expected}")


def _checked(model: RawModel) -> RawModel:
    n = len(model.mean)
    if len(set(model.expression_names)) != len(model.expression_names):
        raise DataError(f"{model.source}: two expressions have one name; name each differently")
    if model.parts is not None:
        _fits(model.source, "parts", len(model.parts), len(model.triangles))
        if model.parts.max(initial=0) >= len(model.part_names):
            raise DataError(f"{model.source}: 'parts' names a part that 'part_names' lacks")
    if model.uv is not None and model.uv.shape != (n, 2):
        raise DataError(f"{model.source}: 'uv' has shape {model.uv.shape}, expected ({n}, 2)")
    if model.mirror is not None and (
        model.mirror.shape != (n,) or model.mirror.min() < 0 or model.mirror.max() >= n
    ):
        raise DataError(f"{model.source}: 'mirror' must hold {n} vertex indices from 0")
    return model
