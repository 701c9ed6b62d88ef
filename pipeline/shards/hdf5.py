"""The HDF5 file under a shard: opened with its layout checked, sealed with a checksum, copied."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import ShardError
from ...fitting.array_files import check_heaps
from ..images import ENCODINGS
from .content import (
    BLENDSHAPES,
    DENSE,
    VISIBILITY,
    embed_datasets,
    fit_datasets,
    frame_datasets,
)
from .mistaken import refuse_other_files

FORMAT_NAME = "glee-shard"
FORMAT_VERSION = 2
# Up to this version the 68 landmarks of `mesh` were others than iBUG's.
_OTHER_LANDMARKS = 1
# Attribute of the root and of the fit: the kind of processor, which is no content.
PROCESSOR = "processor"
STRINGS = h5py.string_dtype()
_CHECKSUM = "content_sha256"
# What is not content (unused bytes of the HDF5 file) is covered by a SHA-256 of the file's bytes,
# which follows them; this attribute says so.
_FOLLOWED = "followed_by"
_FOLLOWED_BY = "sha256 of all bytes before it"
_DIGEST_BYTES = 32
_AGAIN = "remove it and run the stage again"
_GROUPS = ("frames", "crops", "labels", "fit", "embed")


@contextmanager
def open_shard(path: Path) -> Iterator[h5py.File]:
    """Open a shard for reading, its layout checked.

    Nothing in the file is followed out of it: links other than hard ones, external storage,
    virtual and filtered datasets are refused, and no dataset is larger than the file.

    Parameters
    ----------
    path : Path
        The shard.

    Yields
    ------
    h5py.File
        Open while the block lasts.

    Raises
    ------
    ShardError
        For any trouble with the file.
    """
    refuse_other_files(Path(path))
    try:
        # Files are only ever replaced whole, so locks (which NFS may lack) are not needed.
        check_heaps(path)
        with h5py.File(path, "r", locking=False) as file:
            _check_format(file, path)
            _check_layout(file, Path(path).stat().st_size)
            yield file
    except FileNotFoundError as error:
        raise ShardError(f"{path}: no such shard") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ShardError(f"{path}: cut or damaged shard ({reason}); {_AGAIN}") from error


@contextmanager
def new_file() -> Iterator[h5py.File]:
    """Make an HDF5 file in memory; fixed format bounds and no times, so bytes repeat.

    Yields
    ------
    h5py.File
        Open while the block lasts.
    """
    options: dict[str, Any] = {"driver": "core", "backing_store": False, "libver": ("v110", "v110")}
    with h5py.File("shard", "w", **options) as file:
        yield file


def seal(file: h5py.File) -> bytes:
    """Write the checksums.

    Parameters
    ----------
    file : h5py.File
        In memory; it must not have any yet.

    Returns
    -------
    bytes
        The file's, with the checksum of all behind them.
    """
    file.attrs.create(_FOLLOWED, _FOLLOWED_BY, dtype=STRINGS)
    file.attrs.create(_CHECKSUM, digest(file), dtype=STRINGS)
    file.flush()
    image = bytes(file.id.get_file_image())
    return image + hashlib.sha256(image).digest()


def is_sealed(file: h5py.File) -> bool:
    """Tell whether the content agrees with its checksum, and every byte with the file's.

    Parameters
    ----------
    file : h5py.File
        A shard.

    Returns
    -------
    bool
        False where it was altered.
    """
    if digest(file) != file.attrs.get(_CHECKSUM):
        return False
    if _FOLLOWED not in file.attrs:
        return True  # written before there was one
    content = memoryview(Path(file.filename).read_bytes())
    whole = hashlib.sha256(content[:-_DIGEST_BYTES]).digest()
    return whole == bytes(content[-_DIGEST_BYTES:])


def stated_digest(path: Path) -> str:
    """Read the digest of its content that a shard states, without a look at the content.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    str
        SHA-256, in hexadecimal.

    Raises
    ------
    ShardError
        Where the file cannot be read.
    """
    with open_shard(path) as file:
        return str(file.attrs.get(_CHECKSUM, ""))


def copy_content(old: h5py.File, new: h5py.File, leave_out: str) -> None:
    """Write everything of a checked shard but one group and the checksum into a new file.

    Parameters
    ----------
    old, new : h5py.File
        From and to.
    leave_out : str
        The group.
    """
    _copy_attributes(old, new)
    for name in _GROUPS:
        if name in old and name != leave_out:
            group = new.create_group(name)
            _copy_attributes(old[name], group)
            for child in sorted(old[name]):
                dataset = group.create_dataset(child, data=old[name][child][()])
                _copy_attributes(old[name][child], dataset)


def _copy_attributes(old: h5py.Group | h5py.Dataset, new: h5py.Group | h5py.Dataset) -> None:
    # Not the checksums: h5py overwrites an attribute under a random temporary name, which would
    # stay in the file's bytes.
    for name, value in sorted(old.attrs.items()):
        if name not in (_CHECKSUM, _FOLLOWED):
            new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)


def _check_format(file: h5py.File, path: Path) -> None:
    if file.attrs.get("format") != FORMAT_NAME:
        raise ShardError(f"{path}: is not a glee shard; {_AGAIN}")
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
            f"{FORMAT_VERSION}; use the glee that wrote it, or {_AGAIN}"
        )


def _check_layout(file: h5py.File, size: int) -> None:
    """Raise ValueError or KeyError where the file's tree is not exactly the documented one."""
    for name in file:
        if name not in _GROUPS or not isinstance(_own(file, name), h5py.Group):
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
    data = _own(group, name)
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{group.name}/{name} is not a dataset")
    if data.shape != shape or data.dtype != np.dtype(dtype):
        raise ValueError(
            f"{group.name}/{name}: {data.dtype} {data.shape}, not {np.dtype(dtype)} {shape}"
        )
    if data.is_virtual or data.external or data.chunks is not None or data.nbytes > size:
        raise ValueError(f"{group.name}/{name}: not stored plainly in this file")


def digest(file: h5py.File, leave_out: Collection[str] = ()) -> str:
    """Digest names, attributes, types, shapes and bytes of everything, in sorted order.

    Parameters
    ----------
    file : h5py.File
        A shard.
    leave_out : collection of str
        Attributes that do not count, beside the checksum.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    total = hashlib.sha256()

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        total.update(f"\n{name}".encode())
        for key, value in sorted(node.attrs.items()):
            if key != _CHECKSUM and key not in leave_out:
                total.update(f"\n@{key}={np.asarray(value).tolist()!r}".encode())
        if isinstance(node, h5py.Dataset):
            value = np.ascontiguousarray(node[()])
            total.update(f"\n{value.dtype.str}{value.shape}\n".encode())
            total.update(value.tobytes())
        else:
            for child in sorted(node):
                add(f"{name}/{child}", node[child])

    add("", file)
    return total.hexdigest()
