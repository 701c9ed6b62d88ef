"""Numeric variables of a MATLAB file of level 5, every size checked before it is allocated.

The layout is that of MathWorks' "MAT-File Format". scipy's reader is not used: bytes that a fuzzer
damaged end its process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .array_files import MOST_PACKED, one_line

_MATRIX, _COMPRESSED = 14, 15
# How values are stored, by the number of their type.
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC = range(6, 16)  # classes of an array: double to uint64
_COMPLEX = 0x0800
_HEAD = 4096  # bytes in which flags, sides and name of a variable lie
_MOST_SIDES = 32


@dataclass(frozen=True)
class _Variable:
    """A variable and where it lies. kind: class of the array, -1 if complex. data: place of its
    values within the element, whose bytes are start .. stop, packed or as they are.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    data: int
    start: int
    stop: int
    packed: bool


class MatFile:
    """Variables of a MATLAB file of level 5."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._order = _byte_order(file.read(128))
            found = list(_variables(file, path.stat().st_size, self._order))
        self._variables = {variable.name: variable for variable in found}

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See ArrayFile."""
        variable = self._variables.get(name)
        return None if variable is None else variable.shape

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        variable = self._variables[name]
        if variable.kind not in _NUMERIC:
            raise ValueError(f"'{name}' holds text, cells or complex values, not numbers")
        with self.path.open("rb") as file:
            file.seek(variable.start)
            content = file.read(variable.stop - variable.start)
        if variable.packed:
            most = variable.data + 8 * math.prod(variable.shape) + _HEAD
            content = zlib.decompressobj().decompress(content, most)
        stored, begin, length, _ = _part(content, variable.data, self._order)
        if stored not in _STORED:
            raise ValueError(f"'{name}' is stored as type {stored}, which is no number")
        kind = np.dtype(self._order + _STORED[stored])
        count = math.prod(variable.shape)
        if length < count * kind.itemsize:
            raise ValueError(f"'{name}' is cut: {length} bytes for {count} values")
        values = np.frombuffer(content, kind, count, begin)
        return values.astype(kind.newbyteorder("=")).reshape(variable.shape, order="F")


def _byte_order(header: bytes) -> str:
    if header[124:] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise NotImplementedError("level 7.3")
    if header[124:] not in (b"\x00\x01IM", b"\x01\x00MI") or 0 in header[:4]:
        raise ValueError("not of level 5")
    return "<" if header[126:] == b"IM" else ">"


def _variables(file: BinaryIO, size: int, order: str) -> Iterator[_Variable]:
    while len(head := file.read(8)) == 8:
        kind, claimed = struct.unpack(f"{order}II", head)
        start, stop = file.tell(), file.tell() + claimed
        if stop > size:
            raise ValueError(f"an element of {claimed} bytes in a file of {size}")
        if kind == _COMPRESSED:
            begin = zlib.decompressobj().decompress(file.read(min(claimed, _HEAD)), _HEAD)
            inner, unpacked = struct.unpack(f"{order}II", begin[:8])
            if inner != _MATRIX or unpacked > MOST_PACKED * claimed + _HEAD:
                raise ValueError(f"a compressed element of {claimed} bytes claims {unpacked}")
            yield _variable(begin, 8, start, stop, order, packed=True)
        elif kind == _MATRIX:
            yield _variable(file.read(min(claimed, _HEAD)), 0, start, stop, order, packed=False)
        else:
            raise ValueError(f"an element of kind {kind}")
        file.seek(stop)


def _variable(
    begin: bytes, place: int, start: int, stop: int, order: str, *, packed: bool
) -> _Variable:
    """A variable from the first bytes of its element: flags, sides, name."""
    _, at, _, place = _part(begin, place, order)
    (flags,) = struct.unpack_from(f"{order}I", begin, at)
    _, at, length, place = _part(begin, place, order)
    if not 8 <= length <= 4 * _MOST_SIDES:
        raise ValueError(f"a variable with {length // 4} sides")
    shape = struct.unpack_from(f"{order}{length // 4}i", begin, at)
    if min(shape) < 0:
        raise ValueError(f"a variable of shape {shape}")
    _, at, length, place = _part(begin, place, order)
    name = begin[at : at + length].decode("latin-1")
    kind = -1 if flags & _COMPLEX else flags & 0xFF
    return _Variable(name, shape, kind, place, start, stop, packed)


def _part(content: bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """Type, begin and length of a part's data, and where the next part lies."""
    if place + 8 > len(content):
        raise ValueError("a variable is cut")
    kind, length = struct.unpack_from(f"{order}II", content, place)
    if kind >> 16:  # a small part, whose data lie in its head
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise ValueError(f"a small part of {length} bytes")
        return kind, place + 4, length, place + 8
    begin = place + 8
    if begin + length > len(content) and length <= _HEAD:
        raise ValueError(f"a part of {length} bytes goes beyond its variable")
    return kind, begin, min(length, len(content) - begin), begin + -(-length // 8) * 8


@contextmanager
def open_mat(path: Path) -> Iterator[MatFile]:
    """A MATLAB file to read; raises DataError where it is none, or of level 7.3."""
    try:
        yield MatFile(path)
    except NotImplementedError:
        raise DataError(
            f"{path}: is a MATLAB 7.3 file; save it with the option '-v7' and import that"
        ) from None
    except DataError:
        raise
    except (OSError, ValueError, struct.error, zlib.error) as error:
        reason = one_line(error)
        raise DataError(f"{path}: cannot be read as a MATLAB .mat file ({reason})") from None
