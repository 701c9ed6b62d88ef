"""Named numeric arrays in files of others, their sizes checked before they are read.

`npz_arrays`, `mat_arrays` and `hdf5_arrays` open the kinds of file. Nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

# 4 GB of float32: the full head of the Basel model with all its modes has 0.03e9 values.
MAX_VALUES = 1_000_000_000
# Deflate packs nothing better than this; what claims more is not in the file.
MOST_PACKED = 1032


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


def one_line(error: Exception) -> str:
    """An error of another library in one line."""
    return " ".join(str(error).split()) or type(error).__name__
