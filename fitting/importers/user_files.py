"""Reads the 51 ARKit blendshapes on a model's own topology: a folder of OBJ or PLY, or an .npz."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..array_files import numbers
from ..assets.blendshapes import ARKIT_NAMES
from ..npz_arrays import open_npz
from .meshes import read_obj_vertices
from .ply import read_ply_vertices

NEUTRAL_NAMES = ("neutral", "Neutral")
READERS = {".obj": read_obj_vertices, ".ply": read_ply_vertices}


def aliases(name: str) -> tuple[tuple[str, ...], ...]:
    """The ways in which a shape of an ARKit name is written; the shapes of one way are summed."""
    ways: list[tuple[str, ...]] = [(name,)]
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            ways.append((f"{name.removesuffix(side)}_{side[0]}",))
    if name in ("browInnerUp", "cheekPuff"):
        ways.append((f"{name}_L", f"{name}_R"))
        ways.append((f"{name}Left", f"{name}Right"))
    return tuple(ways)


def shapes_named(names: set[str], where: Path) -> dict[str, tuple[str, ...]]:
    """For each of the 51 names the given shapes that make it up.

    Raises DataError naming those that are missing.
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
    """The 51 displacements (51, n, 3) float32 in the order of ARKIT_NAMES."""
    return np.stack(
        [
            np.asarray(sum(displacements[part] for part in ways[name]), np.float32)
            for name in ARKIT_NAMES
        ]
    )


def read_blendshapes(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """The 51 blendshapes' displacements, (51, n, 3) float32, in the model's unit.

    path: a folder with one ``.obj`` or ``.ply`` a blendshape (whole faces) and perhaps
    ``neutral.obj``, from which they are measured, else from the mean; or an ``.npz`` with an array
    of displacements (n, 3) under each name. mean: (n, 3), the model's.
    Raises DataError where one is missing, cannot be read or has another number of vertices.
    """
    if path.is_dir():
        return _from_folder(path, mean)
    if path.suffix.lower() == ".npz":
        return _from_npz(path, mean)
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


def _from_npz(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
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
