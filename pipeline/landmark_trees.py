"""dlib's regression trees for 68 landmarks, evaluated between pixels and not rounded to whole ones.

The method is Kazemi and Sullivan's (CVPR 2014): a cascade of forests moves a mean shape; each tree
compares the grey levels of pairs of pixels that move with the shape, and adds the shape of one of
its leaves. dlib reads the nearest pixels and returns whole ones, so that a face must be enlarged
for it first; here pixels are interpolated where the face is. With `nearest`, the landmarks are
dlib's own before it rounds them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

COUNT = 68


class LandmarkTrees(NamedTuple):
    """Cascades c, trees t, splits s and leaves s + 1 a tree, pixels p; coordinates in box sides.

    mean: (68, 2) float32, from the box's low corner. anchor: (c, p) int64, landmark that a pixel
    moves with. delta: (c, p, 2) float32, from it in the mean shape. first, second: (c, t, s)
    uint16, pixels that a split compares; threshold: (c, t, s) float32. leaves: (c, t, s + 1, 136)
    float32, moves of the landmarks. t is a multiple of 4.
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
    """Landmarks (68, 2) float64, pixels of the image, of the face in a box.

    image: (h, w) uint8, grey; 0 beyond it. left, top: the box's first pixel; width, height: from
    there to its last. nearest: read the nearest pixels, as dlib does, not between them.
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
        _look(image, places, nearest, value)
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
def _look(
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
