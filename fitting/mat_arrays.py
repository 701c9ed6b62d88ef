"""Variables of a MATLAB file of level 5, whose elements are checked before scipy allocates them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .array_files import one_line

# MATLAB's numbers of a matrix and of a compressed element; bytes of it that are unpacked at a time.
_MATRIX, _COMPRESSED, _BLOCK = 14, 15, 1 << 20


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
    except DataError:
        raise
    except Exception as error:  # scipy and zlib raise kinds of their own for damaged files
        reason = one_line(error)
        raise DataError(f"{path}: cannot be read as a MATLAB .mat file ({reason})") from None
