"""Reads meshes: Wavefront OBJ with faces, and the vertices of PLY, text and binary.

A face of an OBJ with more than three corners is cut into triangles; a vertex has one texture point.
PLY as described by Turk (1994).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

MAX_BYTES = 2_000_000_000


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A mesh as a file holds it.

    Attributes
    ----------
    vertices : (n, 3) float64, the file's unit
    triangles : (m, 3) int64 from 0
    triangle_face : (m,) int64, the file's polygon that each triangle was cut from
    uv : (n, 2) float64, texture coordinates, or None
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]
    triangle_face: NDArray[np.int64]
    uv: NDArray[np.float64] | None = None


def read_bytes(path: Path) -> bytes:
    """Read a file's content.

    Parameters
    ----------
    path : the file

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        it cannot be read, or is too large for a mesh of a face
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: {size:,} bytes are too many for a mesh of a face")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_obj(path: Path) -> MeshFile:
    """Read vertices and faces of an OBJ.

    A vertex keeps the first texture point that a face gives it.

    Parameters
    ----------
    path : the ``.obj``

    Returns
    -------
    MeshFile

    Raises
    ------
    DataError
        it cannot be read, has no vertices, or a face names a missing vertex
    """
    lines = read_bytes(path).splitlines()
    vertices = _rows(path, lines, b"v ", 3)
    texture = _rows(path, lines, b"vt ", 2) if any(x.startswith(b"vt ") for x in lines) else None
    faces = [line.split()[1:] for line in lines if line.startswith(b"f ")]
    triangles, owner, uv = [], [], np.full((len(vertices), 2), np.nan)
    for index, face in enumerate(faces):
        corners = [_corner(path, item, len(vertices), 0) for item in face]
        if texture is not None:
            for vertex, item in zip(corners, face, strict=True):
                if b"/" in item and np.isnan(uv[vertex, 0]) and item.split(b"/")[1]:
                    uv[vertex] = texture[_corner(path, item, len(texture), 1)]
        triangles += [[corners[0], b, c] for b, c in zip(corners[1:-1], corners[2:], strict=True)]
        owner += [index] * max(len(corners) - 2, 0)
    return MeshFile(
        vertices,
        np.array(triangles, np.int64).reshape(-1, 3),
        np.array(owner, np.int64),
        None if texture is None else np.nan_to_num(uv),
    )


def read_obj_vertices(path: Path) -> NDArray[np.float64]:
    """Read only the vertices of an OBJ, which is much faster than the whole file.

    Parameters
    ----------
    path : the ``.obj``

    Returns
    -------
    (n, 3) float64
        the file's unit

    Raises
    ------
    DataError
        it cannot be read or has no vertices
    """
    return _rows(path, read_bytes(path).splitlines(), b"v ", 3)


def _rows(path: Path, lines: list[bytes], kind: bytes, width: int) -> NDArray[np.float64]:
    """The first `width` numbers of all lines of one kind."""
    rows = [line[len(kind) :] for line in lines if line.startswith(kind)]
    if not rows:
        raise DataError(f"{path}: has no '{kind.decode().strip()}' lines; it is no OBJ mesh")
    try:
        found = np.array(b" ".join(rows).split(), dtype=np.float64)
        if len(found) != width * len(rows):
            found = np.array([row.split()[:width] for row in rows], np.float64)
        found = found.reshape(len(rows), width)
    except ValueError as error:
        raise DataError(
            f"{path}: a '{kind.decode().strip()}' line does not hold {width} numbers ({error})"
        ) from None
    if not np.isfinite(found).all():
        raise DataError(f"{path}: a '{kind.decode().strip()}' line is not finite")
    return found


def _corner(path: Path, item: bytes, count: int, field: int) -> int:
    """The index from 0 of a face's corner `v/vt/vn`; negative numbers count from the end."""
    try:
        number = int(item.split(b"/")[field])
    except ValueError:
        raise DataError(f"{path}: face corner {item.decode(errors='replace')!r}") from None
    index = number - 1 if number > 0 else count + number
    if not 0 <= index < count:
        raise DataError(f"{path}: a face names point {number} of {count}; the file is cut or bad")
    return index


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
    """Read the vertices of a PLY.

    Parameters
    ----------
    path : the ``.ply``

    Returns
    -------
    (n, 3) float64
        the file's unit

    Raises
    ------
    DataError
        it is no PLY whose first element is `vertex` with x, y, z, or it is cut
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
