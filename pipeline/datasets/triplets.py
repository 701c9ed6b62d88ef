"""Triplets of faces for the pre-training: a table in the work folder, over the frames of shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...fitting.array_files import check_heaps
from ..shards.hdf5 import STRINGS, new_file
from ..shards.shard import list_shards, read_shard

TRIPLET_FILE = "triplets.h5"
TRIPLET_FORMAT = "glee-triplets"
TRIPLET_VERSION = 1
# Name -> (dtype, shape of one triplet).
_DATASETS: Mapping[str, tuple[type, tuple[int, ...]]] = {
    "faces": (np.int64, (3,)),
    "odd": (np.int8, ()),
    "kind": (np.int8, ()),
    "votes": (np.int16, (3,)),
}


@dataclass(frozen=True, eq=False)
class TripletTable:
    """The n triplets of one split, that is of one subject of the shards.

    Attributes
    ----------
    faces : (n, 3) int64, `frame_id` of the three frames
    odd : (n,) int8, 0 to 2, the one least like the other two
    kind : (n,) int8, index into `kinds`
    votes : (n, 3) int16, for each face as the odd one
    kinds : names of the triplet types
    """

    faces: npt.NDArray[np.int64]
    odd: npt.NDArray[np.int8]
    kind: npt.NDArray[np.int8]
    votes: npt.NDArray[np.int16]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.faces)


@dataclass(frozen=True, eq=False)
class ShardTriplets:
    """The n triplets whose three frames are valid, by their place in the shards.

    Attributes
    ----------
    shards : paths
    shard_index : (n, 3) int64, shard of each face
    row : (n, 3) int64, its frame in that shard
    table : the same triplets' faces, odd, kind and votes
    left_out : number of triplets with a frame that is not valid or not there
    """

    shards: tuple[Path, ...]
    shard_index: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    table: TripletTable
    left_out: int


def encode_triplets(tables: Mapping[str, TripletTable]) -> bytes:
    """Make the bytes of a triplet file; the same tables give the same bytes.

    Parameters
    ----------
    tables : by split

    Returns
    -------
    bytes
    """
    with new_file() as file:
        file.attrs["format"] = TRIPLET_FORMAT
        file.attrs["format_version"] = TRIPLET_VERSION
        for split, table in sorted(tables.items()):
            group = file.create_group(split)
            group.attrs.create("kinds", list(table.kinds), dtype=STRINGS)
            for name, (dtype, _) in _DATASETS.items():
                group.create_dataset(name, data=np.ascontiguousarray(getattr(table, name), dtype))
        file.flush()
        return bytes(file.id.get_file_image())


def read_triplets(path: Path) -> dict[str, TripletTable]:
    """Read a triplet file.

    Parameters
    ----------
    path : the file

    Returns
    -------
    dict
        split -> TripletTable

    Raises
    ------
    DataError
        it is missing, cut, of another kind or version, or inconsistent
    """
    try:
        size = Path(path).stat().st_size
        check_heaps(path)
        with h5py.File(path, "r", locking=False) as file:
            kind, version = str(file.attrs["format"]), int(file.attrs["format_version"])
            if (kind, version) != (TRIPLET_FORMAT, TRIPLET_VERSION):
                raise ValueError(f"{kind} version {version}, this glee reads {TRIPLET_VERSION}")
            return {split: _read_table(file, split, size) for split in sorted(file)}
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such table of triplets; run `glee preprocess --dataset fec` first"
        ) from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: cannot be used as a table of triplets ({reason}); run preprocess again"
        ) from None


def _read_table(file: h5py.File, split: str, size: int) -> TripletTable:
    if not isinstance(file.get(split, getlink=True), h5py.HardLink):
        raise ValueError(f"{split} leads out of the file")
    group = file[split]
    arrays: dict[str, Any] = {}
    for name, (dtype, shape) in _DATASETS.items():
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{split}/{name} is missing or leads out of the file")
        data = group[name]
        if not isinstance(data, h5py.Dataset) or data.dtype != dtype or data.shape[1:] != shape:
            raise ValueError(f"{split}/{name} is not {np.dtype(dtype)} {shape}")
        if data.is_virtual or data.external or data.chunks is not None or data.nbytes > size:
            raise ValueError(f"{split}/{name} is not stored plainly in this file")
        arrays[name] = data[()]
    kinds = tuple(str(name) for name in group.attrs["kinds"])
    table = TripletTable(**arrays, kinds=kinds)
    count = len(table.faces)
    if not all(len(getattr(table, name)) == count for name in _DATASETS):
        raise ValueError(f"{split}: lengths differ")
    if count and not (table.odd.min() >= 0 and table.odd.max() <= 2):
        raise ValueError(f"{split}/odd: not 0 to 2")
    if count and not (table.kind.min() >= 0 and table.kind.max() < len(kinds)):
        raise ValueError(f"{split}/kind: not one of {len(kinds)} types")
    return table


def shard_triplets(work: Path, split: str = "train") -> ShardTriplets:
    """Find the triplets of a split that can be used: all three frames are in the shards and valid.

    Parameters
    ----------
    work : the work folder
    split : "train" or "test"

    Returns
    -------
    ShardTriplets

    Raises
    ------
    DataError
        there is no such table or split
    ShardError
        a shard is damaged
    """
    tables = read_triplets(Path(work) / TRIPLET_FILE)
    if split not in tables:
        raise DataError(
            f"{Path(work) / TRIPLET_FILE}: no split {split!r}; it has {', '.join(tables)}"
        )
    table = tables[split]
    paths = tuple(path for path in list_shards(work) if path.parts[-3] == split)
    count = int(table.faces.max(initial=-1)) + 1
    shard_of = np.full(count, -1, np.int64)
    row_of = np.full(count, -1, np.int64)
    for number, path in enumerate(paths):
        frames = read_shard(path, verify=False).frames
        rows = np.flatnonzero(frames.valid & (frames.frame_id >= 0) & (frames.frame_id < count))
        shard_of[frames.frame_id[rows]] = number
        row_of[frames.frame_id[rows]] = rows
    usable = (shard_of[table.faces] >= 0).all(1)
    kept = TripletTable(
        table.faces[usable],
        table.odd[usable],
        table.kind[usable],
        table.votes[usable],
        table.kinds,
    )
    return ShardTriplets(
        shards=paths,
        shard_index=shard_of[kept.faces],
        row=row_of[kept.faces],
        table=kept,
        left_out=int(len(table) - len(kept)),
    )
