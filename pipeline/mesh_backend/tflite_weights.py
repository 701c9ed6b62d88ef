"""Reads the named constants out of a TensorFlow Lite model file, with no other package.

Only what `convert_weights` needs of the FlatBuffers schema of TensorFlow Lite 3: tensors of the
first subgraph (field 0 shape, 1 type, 2 buffer, 3 name) and the buffers' bytes (field 0).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import WeightsError

_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
_MODEL_SUBGRAPHS, _MODEL_BUFFERS = 2, 4
_SHAPE, _TYPE, _BUFFER, _NAME = range(4)


class _Table:
    """A FlatBuffers table at `position` of `data`."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self.fields = position - struct.unpack_from("<i", data, position)[0]

    def place(self, field: int) -> int | None:
        """Where a field's value or reference lies; None where it has its default."""
        slot = 4 + 2 * field
        if slot >= struct.unpack_from("<H", self.data, self.fields)[0]:
            return None
        offset = struct.unpack_from("<H", self.data, self.fields + slot)[0]
        return self.position + offset if offset else None

    def integer(self, field: int, form: str) -> int:
        place = self.place(field)
        return 0 if place is None else int(struct.unpack_from(form, self.data, place)[0])

    def vector(self, field: int, size: int) -> bytes:
        """The bytes of a vector of items of `size` bytes; empty where absent."""
        place = self.place(field)
        if place is None:
            return b""
        start = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, start)[0]
        return self.data[start + 4 : start + 4 + count * size]

    def tables(self, field: int) -> list[_Table]:
        place = self.place(field)
        if place is None:
            return []
        start = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, start)[0]
        items = (start + 4 + 4 * number for number in range(count))
        return [
            _Table(self.data, item + struct.unpack_from("<I", self.data, item)[0]) for item in items
        ]


def read_constants(model: bytes, where: str) -> dict[str, npt.NDArray[np.generic]]:
    """All constants of a model by name, in the model's own layout and type.

    model: the file's bytes. where: names the file in errors. Raises WeightsError where the bytes
    are no TensorFlow Lite model.
    """
    if model[4:8] != b"TFL3":
        raise WeightsError(f"{where}: not a TensorFlow Lite model; give the untouched wheel")
    root = _Table(model, struct.unpack_from("<I", model, 0)[0])
    buffers = root.tables(_MODEL_BUFFERS)
    constants = {}
    for tensor in root.tables(_MODEL_SUBGRAPHS)[0].tables(0):
        content = buffers[tensor.integer(_BUFFER, "<I")].vector(0, 1)
        kind = _TYPES.get(tensor.integer(_TYPE, "<b"))
        if content and kind is not None:
            shape = np.frombuffer(tensor.vector(_SHAPE, 4), "<i4")
            name = tensor.vector(_NAME, 1).decode()
            constants[name] = np.frombuffer(content, kind).reshape(shape)
    return constants
