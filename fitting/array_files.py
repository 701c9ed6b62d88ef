"""Named arrays of .npz and .h5 files that others made, their sizes checked first.

`open_npz` and `open_hdf5` open a file; `numbers` and `text` take an array out of it, or raise one
DataError. Nothing is unpickled, no link or storage that leaves an HDF5 file is followed. For MATLAB
files see mat_files.py.
"""

from __future__ import annotations

import math
import mmap
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

# 4 GB of float32: the full head of the Basel model with all its modes has 0.03e9 values.
MAX_VALUES = 1_000_000_000
# Deflate packs nothing better than this; what claims more is not in the file.
MOST_PACKED = 1032

# What zipfile, zlib and NumPy raise for damaged archives; RuntimeError: encrypted.
DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, SyntaxError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, NotImplementedError, zlib.error, RuntimeError, struct.error),
    tokenize.TokenError,
)


class ArrayFile(Protocol):
    """A file of named arrays.

    Attributes
    ----------
    path : of the file
    """

    path: Path

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array without reading it; None where the file has none of that name.

        Parameters
        ----------
        name : of the array
        """

    def array(self, name: str) -> NDArray[Any]:
        """The array as it is stored; `numbers` and `text` check what they take from it.

        Parameters
        ----------
        name : of an array that the file has
        """


def required_shape(file: ArrayFile, name: str, *, what: str) -> tuple[int, ...]:
    """The shape of an array that must be there.

    Parameters
    ----------
    file : that is open
    name : of the array
    what : what it is, for the message

    Raises
    ------
    DataError
        the file has no such array, or it is too large to be a face model
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

    Parameters
    ----------
    file : that is open
    name : of the array
    what : what it is, for the message

    Raises
    ------
    DataError
        it is missing, too large, not numeric or not finite
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
    """An array of text that must be there, flattened.

    Parameters
    ----------
    file : that is open
    name : of the array

    Raises
    ------
    DataError
        it is missing, or no text
    """
    required_shape(file, name, what="text")
    array = file.array(name)
    if array.dtype.kind not in "US":
        raise DataError(f"{file.path}: '{name}' holds {array.dtype}, not text; save it as text")
    return [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        for item in array.reshape(-1).tolist()
    ]


def one_line(error: Exception) -> str:
    """An error of another library in one line.

    Parameters
    ----------
    error : whose text may have several lines, or none
    """
    return " ".join(str(error).split()) or type(error).__name__


class NpzFile:
    """Arrays of an .npz, read without pickle."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._members = {
            name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")
        }

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See `ArrayFile`."""
        if name not in self._members:
            return None
        return self._header(name)[0]

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._archive.open(f"{name}.npy") as member:
            if np.lib.format.read_magic(member) == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        return shape, dtype

    def array(self, name: str) -> NDArray[Any]:
        """See `ArrayFile`."""
        _check_size(self._archive.getinfo(f"{name}.npy"), *self._header(name))
        with self._archive.open(f"{name}.npy") as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))

    def names(self) -> list[str]:
        """The names of all arrays, sorted."""
        return sorted(self._members)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """An .npz to read.

    Parameters
    ----------
    path : of the file

    Raises
    ------
    DataError
        it is none, is damaged, or holds pickled objects
    """
    _refuse_pickle(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield NpzFile(path, archive)
    except DAMAGED as error:
        reason = one_line(error)
        if "allow_pickle" in reason or "Object arrays" in reason:
            reason = "it holds pickled objects, which are never loaded; save plain arrays instead"
        raise DataError(f"{path}: cannot be read as an .npz file ({reason})") from None


def _check_size(member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise ValueError where an array claims more bytes than its member can hold."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > member.file_size or member.file_size > MOST_PACKED * (member.compress_size + 1):
        raise ValueError(f"{member.filename} of {member.compress_size} bytes claims {claimed}")


def _refuse_pickle(path: Path) -> None:
    """Raise DataError for a file whose name says that it is a pickle."""
    if path.suffix.lower() in {".pkl", ".pickle"}:
        raise DataError(
            f"{path}: is a pickle, which can run any code and is never loaded; "
            "give the .npz of the model"
        )


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
        if node.nbytes > MOST_PACKED * (node.id.get_storage_size() + 1):
            raise DataError(
                f"{self.path}: '{name}' claims {node.nbytes:,} bytes, of which the file holds "
                f"{node.id.get_storage_size():,}; get it again"
            )
        return node

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See `ArrayFile`."""
        dataset = self._dataset(name)
        return None if dataset is None or dataset.shape is None else tuple(dataset.shape)

    def array(self, name: str) -> NDArray[Any]:
        """See `ArrayFile`."""
        dataset = self._dataset(name)
        if dataset is None:
            raise KeyError(name)
        content = dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]
        array = np.asarray(content)
        return array.astype(np.str_) if array.dtype.kind == "O" else array

    def members(self, group: str) -> list[str]:
        """The names directly below a group, sorted; empty where there is no such group.

        Parameters
        ----------
        group : its path in the file
        """
        import h5py

        node = self._node(group)
        return sorted(node) if isinstance(node, h5py.Group) else []

    def attribute(self, name: str) -> Any:
        """A root attribute, None where it is missing.

        Parameters
        ----------
        name : of the attribute
        """
        return self._file.attrs.get(name)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """An HDF5 file to read.

    Parameters
    ----------
    path : of the file

    Raises
    ------
    DataError
        it is none, is damaged, or holds links that leave the file
    """
    import h5py

    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            yield Hdf5File(path, file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as an HDF5 file ({one_line(error)})") from None


# A heap's signature, version 1 and three bytes of zero; then its size.
_HEAP = b"GCOL\x01\0\0\0"
_HEAD = 16
# A signature at any place fills one word of four bytes of the file with one of these.
_WORDS = [int.from_bytes(_HEAP[at : at + 4], "little") for at in range(4)]
_BLOCK = 1 << 15  # words that are looked at together
# Number, references, nothing, and size of an object; number 0 is the space that is left.
_OBJECT = struct.Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Refuse an HDF5 file that the library would never come back from.

    HDF5 2.0 walks through a global heap, where texts of variable length lie, by the sizes that its
    objects state; at an object that states none it stays for ever, and nothing can interrupt it.
    Found by `make fuzz`. So heaps are walked here before the library sees the file.

    Parameters
    ----------
    path : of the file; one of another kind passes

    Raises
    ------
    ValueError
        a global heap holds an object without a size
    OSError
        the file cannot be read
    """
    with Path(path).open("rb") as file:
        if not Path(path).stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_heaps_in(content)


def check_heaps_in(content: mmap.mmap | bytes) -> None:
    """The same for the bytes of a file.

    Parameters
    ----------
    content : of the file

    Raises
    ------
    ValueError
        a global heap holds an object without a size
    """
    for start in _heaps_in(content):
        _check_heap(content, start)


def _heaps_in(content: mmap.mmap | bytes) -> list[int]:
    """Where heaps begin. Words are compared, since `find` by itself takes thrice as long."""
    found: list[int] = []
    if len(content) < len(_HEAP):
        return found
    words = np.frombuffer(content, "<u4", len(content) // 4)
    first, second, third, fourth = _WORDS
    for begin in range(0, len(words), _BLOCK):
        block = words[begin : begin + _BLOCK]
        here = (block == first) | (block == second) | (block == third) | (block == fourth)
        if not here.any():
            continue
        # Signatures whose word is in this block begin up to three bytes before that.
        end = 4 * (begin + len(block)) + 4
        at = content.find(_HEAP, max(4 * begin - 3, 0), end)
        while at >= 0:
            found.append(at)
            at = content.find(_HEAP, at + 1, end)
    return found


def _check_heap(content: mmap.mmap | bytes, start: int) -> None:
    if start + _HEAD > len(content):
        return
    (size,) = struct.unpack_from("<Q", content, start + 8)
    end = min(start + size, len(content))
    place = start + _HEAD
    while place + _OBJECT.size <= end:
        number, _, _, claimed = _OBJECT.unpack_from(content, place)
        step = claimed if number == 0 else _OBJECT.size + -(-claimed // 8) * 8
        if step < _OBJECT.size:
            raise ValueError(f"a heap's object at byte {place} has no size")
        place += step
