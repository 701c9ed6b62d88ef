"""Reads the vertices of PLY meshes, text and binary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .meshes import read_bytes

TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1"},
    **{"short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2"},
    **{"int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class _Header:
    """What the header says of the vertices: byte order, count, their properties, body's start."""

    order: str
    count: int
    properties: tuple[tuple[str, str], ...]
    start: int


def read_ply_vertices(path: Path) -> NDArray[np.float64]:
    """The vertices of a PLY, (n, 3) float64, the file's unit.

    Raises DataError where it is no PLY whose first element is `vertex` with x, y, z, or is cut.
    """
    content = read_bytes(path)
    header = _header(path, content)
    names = [name for name, _ in header.properties]
    if not {"x", "y", "z"} <= set(names):
        raise DataError(f"{path}: its vertices have no x, y, z")
    columns = [names.index(axis) for axis in "xyz"]
    try:
        if header.order == "":
            lines = content[header.start :].splitlines()[: header.count]
            rows = np.array([line.split()[: len(names)] for line in lines], np.float64)
            vertices = rows.reshape(header.count, len(names))[:, columns]
        else:
            kind = np.dtype([(name, header.order + form) for name, form in header.properties])
            if header.start + kind.itemsize * header.count > len(content):
                raise ValueError(f"the header promises {header.count} vertices")
            table = np.frombuffer(content, kind, header.count, header.start)
            vertices = np.column_stack([table[axis].astype(np.float64) for axis in "xyz"])
    except ValueError as error:
        raise DataError(f"{path}: its vertices cannot be read ({error}); the file is cut") from None
    if not np.isfinite(vertices).all():
        raise DataError(f"{path}: a vertex is not finite")
    return vertices


def _header(path: Path, content: bytes) -> _Header:
    head, found, _ = content[:65536].partition(b"end_header\n")
    if not content.startswith(b"ply") or not found:
        raise DataError(f"{path}: is no PLY file (no 'ply' ... 'end_header')")
    order, count, properties, element = None, None, [], ""
    for line in head.decode("latin-1").splitlines():
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            order = ORDERS.get(words[1])
        elif words[:1] == ["element"] and len(words) == 3:
            element = words[1]
            if count is None and element == "vertex" and re.fullmatch("[0-9]{1,9}", words[2]):
                count = int(words[2])
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in TYPES:
                raise DataError(f"{path}: vertex property '{line}' is not known")
            properties.append((words[2], TYPES[words[1]]))
        if element and count is None:
            raise DataError(f"{path}: its first element is '{element}', not 'vertex'")
    if order is None or count is None:
        raise DataError(f"{path}: its header names no known format or no vertices")
    return _Header(order, count, tuple(properties), len(head) + len(found))
