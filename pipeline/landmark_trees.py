"""dlib's regression trees for 68 landmarks, evaluated between pixels and not rounded to whole ones.

The method is Kazemi and Sullivan's (CVPR 2014): a cascade of forests moves a mean shape; each tree
compares the grey levels of pairs of pixels that move with the shape, and adds the shape of one of
its leaves. dlib reads the nearest pixels and returns whole ones, so that a face must be enlarged
for it first; here pixels are interpolated where the face is. With `nearest`, the landmarks are
dlib's own before it rounds them.
"""

from __future__ import annotations

from typing import NamedTuple

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


# It calls no other kernel and no sum's order is free, so that every process runs the same code.
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
    rows, columns = image.shape
    cascades, count, splits = trees.first.shape
    pixels, numbers = trees.anchor.shape[1], trees.leaves.shape[3]
    points = numbers // 2
    shape = np.empty(numbers, np.float32)
    centred = np.empty((points, 2), np.float32)
    middle_x, middle_y, spread = np.float32(0), np.float32(0), np.float32(0)
    for i in range(points):
        shape[2 * i], shape[2 * i + 1] = trees.mean[i, 0], trees.mean[i, 1]
        middle_x += trees.mean[i, 0] / points
        middle_y += trees.mean[i, 1] / points
    for i in range(points):
        centred[i, 0], centred[i, 1] = trees.mean[i, 0] - middle_x, trees.mean[i, 1] - middle_y
        spread += centred[i, 0] ** 2 + centred[i, 1] ** 2
    value = np.empty(pixels, np.float32)
    node = np.empty(count, np.int64)
    for c in range(cascades):
        # The similarity from the mean shape to this one: least squares, in closed form.
        along, across = np.float32(0), np.float32(0)
        for i in range(points):
            x, y = centred[i, 0], centred[i, 1]
            along += x * shape[2 * i] + y * shape[2 * i + 1]
            across += x * shape[2 * i + 1] - y * shape[2 * i]
        along /= spread
        across /= spread
        for p in range(pixels):
            near = trees.anchor[c, p]
            x, y = trees.delta[c, p, 0], trees.delta[c, p, 1]
            at_x = left + width * (along * x - across * y + shape[2 * near])
            at_y = top + height * (across * x + along * y + shape[2 * near + 1])
            column, row = int(np.floor(at_x)), int(np.floor(at_y))
            u, v = np.float32(at_x - column), np.float32(at_y - row)
            if nearest or not (0 <= column < columns - 1 and 0 <= row < rows - 1):
                column, row = int(np.floor(at_x + 0.5)), int(np.floor(at_y + 0.5))
                inside = 0 <= column < columns and 0 <= row < rows
                value[p] = image[row, column] if inside else 0
            else:
                upper = (1 - u) * image[row, column] + u * image[row, column + 1]
                lower = (1 - u) * image[row + 1, column] + u * image[row + 1, column + 1]
                value[p] = (1 - v) * upper + v * lower
        # Level by level, so that no tree waits for another's comparison.
        node[:] = 0
        level = 1
        while level <= splits:
            for t in range(count):
                at = node[t]
                difference = value[trees.first[c, t, at]] - value[trees.second[c, t, at]]
                node[t] = 2 * at + 2 - int(difference > trees.threshold[c, t, at])
            level *= 2
        # In the trees' order, four at a time: the leaves come from memory slowly.
        for t in range(0, count, 4):
            one = trees.leaves[c, t, node[t] - splits]
            two = trees.leaves[c, t + 1, node[t + 1] - splits]
            three = trees.leaves[c, t + 2, node[t + 2] - splits]
            four = trees.leaves[c, t + 3, node[t + 3] - splits]
            for k in range(numbers):
                shape[k] = shape[k] + one[k] + two[k] + three[k] + four[k]
    landmarks = np.empty((points, 2), np.float64)
    for i in range(points):
        landmarks[i, 0] = left + width * shape[2 * i]
        landmarks[i, 1] = top + height * shape[2 * i + 1]
    return landmarks
