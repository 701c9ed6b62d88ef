"""The layout of a shard's HDF5 file, which a file must have exactly before anything is read.

Datasets are opened by HDF5's own calls: h5py's objects around them take longer than the checks.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import ShardError
from ..images import ENCODINGS
from .content import (
    BLENDSHAPES,
    DENSE,
    VISIBILITY,
    embed_datasets,
    fit_datasets,
    frame_datasets,
)

FORMAT_NAME = "glee-shard"
FORMAT_VERSION = 2
GROUPS = ("frames", "crops", "labels", "fit", "embed")
# What to do with a file that is none.
AGAIN = "remove it and run the stage again"
# Up to this version the 68 landmarks of `mesh` were others than iBUG's.
_OTHER_LANDMARKS = 1
# How a dataset that lies plainly in its file is stored.
_PLAIN = (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)


def check_format(file: h5py.File, path: Path) -> None:
    """Check that a file is a shard of the format that this glee reads.

    Parameters
    ----------
    file : h5py.File
        The file.
    path : Path
        Where it lies.

    Raises
    ------
    ShardError
        Saying what it is instead.
    """
    if file.attrs.get("format") != FORMAT_NAME:
        raise ShardError(f"{path}: is not a glee shard; {AGAIN}")
    version = int(file.attrs.get("format_version", 0))
    if version == _OTHER_LANDMARKS:
        raise ShardError(
            f"{path}: shard format version {version}, whose landmarks are of another definition "
            f"than those of version {FORMAT_VERSION}; run `glee preprocess` again, best into a new "
            "folder"
        )
    if version != FORMAT_VERSION:
        raise ShardError(
            f"{path}: shard format version {version}, this glee reads version "
            f"{FORMAT_VERSION}; use the glee that wrote it, or {AGAIN}"
        )


def check_layout(file: h5py.File, size: int) -> None:
    """Check that a file's tree is exactly the documented one.

    Parameters
    ----------
    file : h5py.File
        A shard.
    size : int
        Of the file, bytes.

    Raises
    ------
    ValueError, KeyError
        Where it is not.
    """
    for name in file:
        if name not in GROUPS or not isinstance(_own(file, name), h5py.Group):
            raise ValueError(f"unexpected {name}")
    count = int(file.attrs["stop"]) - int(file.attrs["start"])
    if int(file.attrs["start"]) < 0 or count < 1:
        raise ValueError(f"chunk of {count} frames")
    aus = [str(name) for name in file["labels"].attrs["au_names"]]
    expected: dict[str, dict[str, tuple[Any, tuple[int, ...]]]] = {
        "frames": frame_datasets(
            _dense_points(file["frames"]),
            blendshapes=BLENDSHAPES in file["frames"],
            visibility=VISIBILITY in file["frames"],
        ),
        "labels": dict.fromkeys(aus, (np.int8, ())),
    }
    if "fit" in file:
        fit = file["fit"].attrs
        expected["fit"] = fit_datasets(len(fit["expression_names"]), int(fit["shape_modes"]))
    if "embed" in file:
        expected["embed"] = embed_datasets(int(file["embed"].attrs["width"]))
    for group, datasets in expected.items():
        if set(file[group]) != set(datasets):
            raise ValueError(f"{group} holds {sorted(file[group])}, not {sorted(datasets)}")
        for name, (dtype, shape) in datasets.items():
            _check_dataset(file[group], name, dtype, (count, *shape), size)
    _check_crops(file["crops"], count, size)


def _dense_points(frames: h5py.Group) -> int | None:
    """How many dense points a shard's frames have; None where they have none."""
    return int(frames[DENSE].shape[1]) if DENSE in frames else None


def _check_crops(group: h5py.Group, count: int, size: int) -> None:
    encoding, side = group.attrs["encoding"], int(group.attrs["size"])
    if set(group) != {"data", "offset"} or encoding not in ENCODINGS or not 0 < side <= 4096:
        raise ValueError(f"crops with encoding {encoding!r}, size {side}")
    _check_dataset(group, "offset", np.int64, (count + 1,), size)
    offset = group["offset"][()]
    if offset[0] != 0 or np.any(np.diff(offset) < 0):
        raise ValueError("crop offsets out of order")
    _check_dataset(group, "data", np.uint8, (int(offset[-1]),), size)


def _own(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link")
    return group[name]


def _check_dataset(
    group: h5py.Group, name: str, dtype: Any, shape: tuple[int, ...], size: int
) -> None:
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise ValueError(f"{group.name}/{name} is a link")
    data = h5py.h5o.open(group.id, name.encode())
    if not isinstance(data, h5py.h5d.DatasetID):
        raise ValueError(f"{group.name}/{name} is not a dataset")
    if data.shape != shape or data.dtype != np.dtype(dtype):
        raise ValueError(
            f"{group.name}/{name}: {data.dtype} {data.shape}, not {np.dtype(dtype)} {shape}"
        )
    stored = data.get_create_plist()
    plain = stored.get_layout() in _PLAIN and not stored.get_external_count()
    if not plain or math.prod(shape) * data.dtype.itemsize > size:
        raise ValueError(f"{group.name}/{name}: not stored plainly in this file")
