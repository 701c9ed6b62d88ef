"""Reads what a user made for a model: its 68 landmarks, and the 51 ARKit blendshapes.

Landmarks come in several text and array formats; blendshapes on the model's own topology, as a
folder of OBJ or PLY or as an .npz.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..array_files import numbers, open_npz
from ..morphable_model.landmark_scheme import ARKIT_NAMES
from ..morphable_model.morphable_model import SurfacePoints
from .meshes import read_obj_vertices, read_ply_vertices
from .raw_model import vertex_points

NEUTRAL_NAMES = ("neutral", "Neutral")
READERS = {".obj": read_obj_vertices, ".ply": read_ply_vertices}


def read_landmarks(path: Path, vertex_count: int) -> SurfacePoints:
    """Read the 68 landmarks in the iBUG order.

    Parameters
    ----------
    path : a ``.json`` list (or an object with a list `landmarks` or `idx_to_landmark_verts`), a
        ``.txt``/``.csv`` of numbers, a ``.npy`` (68,), or an ``.npz`` with `landmarks` (68,), or
        with `landmark_vertices` (68, 3) and `landmark_weights` (68, 3)
    vertex_count : of the model

    Returns
    -------
    SurfacePoints
        (68,) points

    Raises
    ------
    DataError
        it cannot be read or does not fit the model
    """
    kind = path.suffix.lower()
    if kind == ".npz":
        return _landmarks_from_npz(path, vertex_count)
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
    """Make landmarks of corners and barycentric weights, checked.

    Parameters
    ----------
    source : the file, for messages
    vertices : (68, 3) int from 0
    weights : (68, 3) float, each row sums to 1
    vertex_count : of the model

    Returns
    -------
    SurfacePoints
        (68,) points

    Raises
    ------
    DataError
        shapes, indices or weights do not fit
    """
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


def _landmarks_from_npz(path: Path, vertex_count: int) -> SurfacePoints:
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


def read_blendshapes(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read the 51 blendshapes' displacements.

    Parameters
    ----------
    path : a folder with one ``.obj`` or ``.ply`` a blendshape (whole faces) and perhaps
        ``neutral.obj``, from which they are measured, else from the mean; or an ``.npz`` with an
        array of displacements (n, 3) under each name
    mean : (n, 3) float64, the model's

    Returns
    -------
    (51, n, 3) float32
        the model's unit

    Raises
    ------
    DataError
        one is missing, cannot be read or has another number of vertices
    """
    if path.is_dir():
        return _from_folder(path, mean)
    if path.suffix.lower() == ".npz":
        return _blendshapes_from_npz(path, mean)
    raise DataError(f"{path}: is no folder of .obj or .ply files and no .npz of blendshapes")


def _from_folder(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    files = {file.stem: file for file in sorted(path.iterdir()) if file.suffix.lower() in READERS}
    ways = shapes_named(set(files), path)

    def vertices(name: str) -> NDArray[np.float64]:
        found = READERS[files[name].suffix.lower()](files[name])
        _check(files[name], found, mean)
        return found

    neutral = next((vertices(name) for name in NEUTRAL_NAMES if name in files), mean)
    wanted = {part for way in ways.values() for part in way}
    return summed({name: vertices(name) - neutral for name in sorted(wanted)}, ways)


def _blendshapes_from_npz(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    with open_npz(path) as file:
        ways = shapes_named(set(file.names()), path)
        displacements = {}
        for part in sorted({part for way in ways.values() for part in way}):
            displacements[part] = numbers(file, part, what="displacements of a blendshape")
            _check(path, displacements[part], mean)
    return summed(displacements, ways)


def _check(where: Path, found: NDArray[np.generic], mean: NDArray[np.float64]) -> None:
    if found.shape != mean.shape:
        raise DataError(
            f"{where}: a blendshape has shape {found.shape}, the model {mean.shape}; "
            "blendshapes must be on the model's own topology"
        )


def aliases(name: str) -> tuple[tuple[str, ...], ...]:
    """The ways in which a shape of an ARKit name is written.

    Parameters
    ----------
    name : of ARKIT_NAMES

    Returns
    -------
    tuple
        of ways; the shapes of one way are summed
    """
    ways: list[tuple[str, ...]] = [(name,)]
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            ways.append((f"{name.removesuffix(side)}_{side[0]}",))
    if name in ("browInnerUp", "cheekPuff"):
        ways.append((f"{name}_L", f"{name}_R"))
        ways.append((f"{name}Left", f"{name}Right"))
    return tuple(ways)


def shapes_named(names: set[str], where: Path) -> dict[str, tuple[str, ...]]:
    """Find for each of the 51 names the given shapes that make it up.

    Parameters
    ----------
    names : of the given shapes
    where : the file or folder, for messages

    Returns
    -------
    dict
        name of ARKIT_NAMES -> names of the shapes to sum

    Raises
    ------
    DataError
        some of the 51 are missing
    """
    found, missing = {}, []
    for name in ARKIT_NAMES:
        way = next((way for way in aliases(name) if set(way) <= names), None)
        if way is None:
            missing.append(name)
        else:
            found[name] = way
    if missing:
        some = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        raise DataError(
            f"{where}: {len(missing)} of the 51 ARKit blendshapes are missing ({some}); "
            "name each file or array after its blendshape"
        )
    return found


def summed(
    displacements: Mapping[str, NDArray[np.floating]], ways: Mapping[str, tuple[str, ...]]
) -> NDArray[np.float32]:
    """Sum the shapes of each name.

    Parameters
    ----------
    displacements : (n, 3) float by the given name
    ways : as of `shapes_named`

    Returns
    -------
    (51, n, 3) float32
        in the order of ARKIT_NAMES
    """
    return np.stack(
        [
            np.asarray(sum(displacements[part] for part in ways[name]), np.float32)
            for name in ARKIT_NAMES
        ]
    )


FORMS = "a .json list, .txt or .csv of 68 vertex indices from 0, a .npy, or an .npz"
MAX_BYTES = 1_000_000
# What NumPy raises for a header that is no Python, and for a number that is none of 64 bits.
_ODD = (TokenError, OverflowError)
