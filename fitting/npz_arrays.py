"""Arrays of an .npz, read without pickle."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .array_files import MOST_PACKED, one_line

# What zipfile, zlib and NumPy raise for damaged archives; RuntimeError: encrypted.
DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, SyntaxError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, NotImplementedError, zlib.error, RuntimeError, struct.error),
    tokenize.TokenError,
)


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
        return self._header(name)[0]

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._archive.open(f"{name}.npy") as member:
            if np.lib.format.read_magic(member) == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        return shape, dtype

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        _check_size(self._archive.getinfo(f"{name}.npy"), *self._header(name))
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
