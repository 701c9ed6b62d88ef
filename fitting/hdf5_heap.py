"""Keeps the HDF5 library from files that it never comes back from.

HDF5 2.0 walks through a global heap, where texts of variable length lie, by the sizes that its
objects state; at an object that states none it stays for ever, and nothing can interrupt it. Found
by `make fuzz`. So heaps are walked here before the library sees the file.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

# A heap's signature, version 1 and three bytes of zero; then its size.
_HEAP = b"GCOL\x01\0\0\0"
_HEAD = 16
# Number, references, nothing, and size of an object; number 0 is the space that is left.
_OBJECT = struct.Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Raise ValueError where a global heap of an HDF5 file holds an object without a size.

    Raises OSError where the file cannot be read. A file of another kind passes.
    """
    with Path(path).open("rb") as file:
        if not Path(path).stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_heaps_in(content)


def check_heaps_in(content: mmap.mmap | bytes) -> None:
    """The same for the bytes of a file."""
    at = content.find(_HEAP)
    while at >= 0:
        _check_heap(content, at)
        at = content.find(_HEAP, at + 1)


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
