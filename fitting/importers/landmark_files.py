"""Reads the 68 landmarks of a model from a file that the user made."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..array_files import numbers
from ..morphable_model.morphable_model import SurfacePoints
from ..npz_arrays import open_npz
from .raw_model import vertex_points

FORMS = "a .json list, .txt or .csv of 68 vertex indices from 0, a .npy, or an .npz"
MAX_BYTES = 1_000_000
# What NumPy raises for a header that is no Python, and for a number that is none of 64 bits.
_ODD = (TokenError, OverflowError)


def read_landmarks(path: Path, vertex_count: int) -> SurfacePoints:
    """The 68 landmarks in the iBUG order.

    path: a ``.json`` list (or an object with a list `landmarks` or `idx_to_landmark_verts`), a
    ``.txt``/``.csv`` of numbers, a ``.npy`` (68,), or an ``.npz`` with `landmarks` (68,), or with
    `landmark_vertices` (68, 3) and `landmark_weights` (68, 3).
    Raises DataError where it cannot be read or does not fit the model.
    """
    kind = path.suffix.lower()
    if kind == ".npz":
        return _from_npz(path, vertex_count)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: is too large for a landmark file; give {FORMS}")
        if kind == ".npy":
            indices = _from_npy(path)
        elif kind == ".json":
            indices = np.array(_from_json(path))
        else:
            indices = _from_text(path)
    except (OSError, ValueError, EOFError, SyntaxError, RecursionError, *_ODD) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as landmarks ({reason}); give {FORMS}") from None
    return vertex_points(path, indices, vertex_count)


def surface_points(
    source: Path, vertices: NDArray[np.generic], weights: NDArray[np.generic], vertex_count: int
) -> SurfacePoints:
    """Landmarks by corners (68, 3) and barycentric weights (68, 3), checked."""
    if vertices.shape != (68, 3) or weights.shape != (68, 3) or vertices.dtype.kind not in "iu":
        raise DataError(
            f"{source}: landmark_vertices {vertices.shape} and landmark_weights {weights.shape} "
            "must be integers and numbers of shape (68, 3)"
        )
    corners, shares = vertices.astype(np.int64), weights.astype(np.float64)
    if corners.min() < 0 or corners.max() >= vertex_count:
        raise DataError(f"{source}: a landmark names a vertex outside 0 to {vertex_count - 1}")
    if not np.allclose(shares.sum(1), 1.0, atol=1e-3):
        raise DataError(f"{source}: the weights of each landmark must add up to 1")
    return SurfacePoints(corners.astype(np.int32), shares.astype(np.float32))


def _from_npz(path: Path, vertex_count: int) -> SurfacePoints:
    with open_npz(path) as file:
        if file.shape("landmark_vertices") is None:
            return vertex_points(path, numbers(file, "landmarks", what="68 indices"), vertex_count)
        vertices = numbers(file, "landmark_vertices", what="corners of each landmark")
        weights = numbers(file, "landmark_weights", what="weights of each landmark")
    return surface_points(path, vertices, weights, vertex_count)


def _from_npy(path: Path) -> NDArray[Any]:
    # From memory: a file would allocate as many bytes as a header claims to be long.
    file = io.BytesIO(path.read_bytes())
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0
    shape, _, dtype = (
        header(file) if version == (1, 0) else np.lib.format.read_array_header_2_0(file)
    )
    if shape not in ((68,), (68, 1), (1, 68)) or dtype.kind not in "iu":
        raise ValueError(f"its array is {dtype} of shape {shape}")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _from_json(path: Path) -> list[int]:
    content = json.loads(path.read_text("utf-8"))
    if isinstance(content, dict):
        content = content.get("landmarks", content.get("idx_to_landmark_verts"))
    if not isinstance(content, list) or not all(type(item) is int for item in content):
        raise ValueError("it holds no list of whole numbers")
    return content


def _from_text(path: Path) -> NDArray[np.int64]:
    words = re.sub(r"#.*", "", path.read_text("utf-8")).replace(",", " ").split()
    return np.array([int(word) for word in words], np.int64)
