"""Named numeric arrays in .npz, MATLAB and HDF5 files, their sizes checked before they are read.

Nothing is unpickled, and no HDF5 link that leaves the file is followed.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

# 4 GB of float32: the full head of the Basel model with all its modes has 0.03e9 values.
MAX_VALUES = 1_000_000_000


# MATLAB's numbers of a matrix and of a compressed element; bytes of it that are unpacked at a time.
_MATRIX, _COMPRESSED, _BLOCK = 14, 15, 1 << 20


class ArrayFile(Protocol):
    """A file of named arrays."""

    path: Path

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array without reading it; None where the file has none of that name."""

    def array(self, name: str) -> NDArray[Any]:
        """The array as it is stored; `numbers` and `text` check what they take from it."""


def required_shape(file: ArrayFile, name: str, *, what: str) -> tuple[int, ...]:
    """The shape of an array that must be there.

    Raises DataError where the file has no such array or it is too large to be a face model.
    """
    shape = file.shape(name)
    if shape is None:
        raise DataError(f"{file.path}: has no array '{name}' ({what}); give a file of this format")
    count = 1
    for side in shape:
        count *= int(side)
    if count > MAX_VALUES:
        raise DataError(
            f"{file.path}: '{name}' has shape {shape}, more than {MAX_VALUES:,} values; "
            "no face model is that large, check the file"
        )
    return shape


def numbers(file: ArrayFile, name: str, *, what: str) -> NDArray[Any]:
    """A numeric array that must be there, finite, as it is stored.

    Raises DataError where it is missing, too large, not numeric or not finite.
    """
    required_shape(file, name, what=what)
    array = file.array(name)
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{file.path}: '{name}' ({what}) holds {array.dtype}, not numbers; "
            "save it as a plain numeric array"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{file.path}: '{name}' ({what}) holds NaN or infinite values; mend it")
    return array


def text(file: ArrayFile, name: str) -> list[str]:
    """An array of text that must be there, flattened."""
    required_shape(file, name, what="text")
    array = file.array(name)
    if array.dtype.kind not in "US":
        raise DataError(f"{file.path}: '{name}' holds {array.dtype}, not text; save it as text")
    return [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        for item in array.reshape(-1).tolist()
    ]


class NpzFile:
    """Arrays of an .npz, read without pickle."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._members = {
            name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")
        }

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See ArrayFile."""
        if name not in self._members:
            return None
        with self._archive.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(member)[0]
            return np.lib.format.read_array_header_2_0(member)[0]

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        with self._archive.open(f"{name}.npy") as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))

    def names(self) -> list[str]:
        """The names of all arrays, sorted."""
        return sorted(self._members)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """An .npz to read; raises DataError where it is none or holds pickled objects."""
    _refuse_pickle(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield NpzFile(path, archive)
    except _DAMAGED as error:
        reason = _line(error)
        if "allow_pickle" in reason or "Object arrays" in reason:
            reason = "it holds pickled objects, which are never loaded; save plain arrays instead"
        raise DataError(f"{path}: cannot be read as an .npz file ({reason})") from None


# What zipfile, zlib and NumPy raise for damaged archives; RuntimeError: encrypted.
_DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, SyntaxError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, NotImplementedError, zlib.error, RuntimeError, struct.error),
)


def _line(error: Exception) -> str:
    """An error of another library in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _refuse_pickle(path: Path) -> None:
    """Raise DataError for a file whose name says that it is a pickle."""
    if path.suffix.lower() in {".pkl", ".pickle"}:
        raise DataError(
            f"{path}: is a pickle, which can run any code and is never loaded; "
            "give the .npz of the model"
        )


class MatFile:
    """Variables of a MATLAB file of level 5."""

    def __init__(self, path: Path) -> None:
        from scipy.io import whosmat

        self.path = path
        _check_elements(path)
        self._shapes = {name: tuple(shape) for name, shape, _ in whosmat(str(path))}

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See ArrayFile."""
        return self._shapes.get(name)

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        from scipy.io import loadmat

        return np.asarray(loadmat(str(self.path), variable_names=[name])[name])


def _check_elements(path: Path) -> None:
    """Raise ValueError where an element of a MATLAB file claims more bytes than the file has.

    scipy allocates what an element's head claims before it reads.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(128)
        if header[124:] in (b"\x00\x02IM", b"\x02\x00MI"):
            return  # level 7.3, which scipy refuses
        if header[124:] not in (b"\x00\x01IM", b"\x01\x00MI") or 0 in header[:4]:
            raise ValueError("not of level 5")
        order = "<" if header[126:] == b"IM" else ">"
        while len(head := file.read(8)) == 8:
            kind, claimed = struct.unpack(f"{order}II", head)
            end = file.tell() + claimed
            if end > size:
                raise ValueError(f"an element of {claimed} bytes in a file of {size}")
            if kind == _COMPRESSED:
                _check_compressed(file, end, order)
            elif kind == _MATRIX:
                _check_parts(file, end, order)
            else:
                raise ValueError(f"an element of kind {kind}")
            file.seek(end)


def _check_parts(file: BinaryIO, end: int, order: str) -> None:
    """Raise ValueError where a part of an uncompressed matrix claims more than there is."""
    while file.tell() + 8 <= end:
        kind, claimed = struct.unpack(f"{order}II", file.read(8))
        if kind >> 16:
            continue  # a small element, whose data lie in its head
        if file.tell() + claimed > end:
            raise ValueError(f"a part of {claimed} bytes goes beyond its matrix")
        file.seek(-(-claimed // 8) * 8, 1)


def _check_compressed(file: BinaryIO, end: int, order: str) -> None:
    """Raise ValueError or zlib.error where a compressed element is damaged, a block at a time."""
    unpack = zlib.decompressobj()
    begin, length = b"", 0
    while file.tell() < end and not unpack.eof:
        waiting = file.read(min(_BLOCK, end - file.tell()))
        while waiting and not unpack.eof:
            block = unpack.decompress(waiting, _BLOCK)
            begin = (begin + block)[:8]
            length += len(block)
            waiting = unpack.unconsumed_tail
    claimed = struct.unpack(f"{order}II", begin)[1] if len(begin) == 8 else 0
    if not unpack.eof or claimed + 8 > length:
        raise ValueError(f"a compressed element of {length} bytes is cut")


@contextmanager
def open_mat(path: Path) -> Iterator[MatFile]:
    """A MATLAB file to read; raises DataError where it is none, or of level 7.3."""
    try:
        yield MatFile(path)
    except NotImplementedError:
        raise DataError(
            f"{path}: is a MATLAB 7.3 file; save it with the option '-v7' and import that"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, IndexError) as error:
        raise DataError(f"{path}: cannot be read as a MATLAB .mat file ({_line(error)})") from None
    except Exception as error:  # scipy and zlib raise kinds of their own for damaged files
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as a MATLAB .mat file ({_line(error)})") from None


class Hdf5File:
    """Datasets of an HDF5 file by path; only such as lie in the file itself."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file

    def _node(self, name: str) -> Any | None:
        import h5py

        node = self._file
        for part in name.split("/"):
            link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise DataError(
                    f"{self.path}: '{name}' is a link to another place or file, which is never "
                    "followed; copy the data into the file"
                )
            node = node[part]
        return node

    def _dataset(self, name: str) -> Any | None:
        import h5py

        node = self._node(name)
        if not isinstance(node, h5py.Dataset):
            return None
        if node.external or node.is_virtual:
            raise DataError(
                f"{self.path}: '{name}' keeps its data in other files, which are never opened; "
                "copy the data into the file"
            )
        return node

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See ArrayFile."""
        dataset = self._dataset(name)
        return None if dataset is None or dataset.shape is None else tuple(dataset.shape)

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        dataset = self._dataset(name)
        if dataset is None:
            raise KeyError(name)
        content = dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]
        array = np.asarray(content)
        return array.astype(np.str_) if array.dtype.kind == "O" else array

    def members(self, group: str) -> list[str]:
        """The names directly below a group, sorted; empty where there is no such group."""
        import h5py

        node = self._node(group)
        return sorted(node) if isinstance(node, h5py.Group) else []

    def attribute(self, name: str) -> Any:
        """A root attribute, None where it is missing."""
        return self._file.attrs.get(name)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """An HDF5 file to read; raises DataError where it is none or damaged."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield Hdf5File(path, file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as an HDF5 file ({_line(error)})") from None
