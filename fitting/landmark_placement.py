"""Where the model's landmarks lie in space for given unknowns (Numba)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .frame_arrays import Work
from .solver.linear_algebra import SUMS
from .solver.problem import PointModel, contour_candidate


@njit(cache=True, boundscheck=False)
def choose_contour(
    points: PointModel,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> bool:
    """Move the jaw landmarks to the visible contour; True where one moved."""
    moved = False
    if points.line_mean.shape[1] == 0:
        return moved
    for line in range(len(work.candidate)):
        best = contour_candidate(points, line, x, rotation, translation)
        moved |= best != work.candidate[line]
        work.candidate[line] = best
    return moved


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _place_points(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    x: NDArray[np.floating],
    first: int,
    out: NDArray[np.float64],
) -> None:
    """out[i] = mean[i] + modes[i] x for landmarks from `first` on."""
    for i in range(first, len(mean)):
        a = b = c = modes.dtype.type(0.0)
        for k in range(len(x)):
            a += modes[i, 0, k] * x[k]
            b += modes[i, 1, k] * x[k]
            c += modes[i, 2, k] * x[k]
        out[i, 0], out[i, 1], out[i, 2] = mean[i, 0] + a, mean[i, 1] + b, mean[i, 2] + c


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _place_jaw(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    candidate: NDArray[np.int32],
    x: NDArray[np.floating],
    out: NDArray[np.float64],
) -> None:
    """The same for jaw landmarks, at their candidates on the jaw lines."""
    for i in range(len(candidate)):
        at = candidate[i]
        a = b = c = modes.dtype.type(0.0)
        for k in range(len(x)):
            a += modes[i, at, 0, k] * x[k]
            b += modes[i, at, 1, k] * x[k]
            c += modes[i, at, 2, k] * x[k]
        out[i, 0], out[i, 1] = mean[i, at, 0] + a, mean[i, at, 1] + b
        out[i, 2] = mean[i, at, 2] + c


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _move(
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    turned: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> None:
    """turned = R turned, in place, and seen = turned + t."""
    for i in range(len(turned)):
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        for a in range(3):
            turned[i, a] = rotation[a, 0] * x + rotation[a, 1] * y + rotation[a, 2] * z
            seen[i, a] = turned[i, a] + translation[a]


@njit(cache=True, boundscheck=False)
def place(
    points: PointModel,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    work: Work,
) -> None:
    """Fill work.turned and work.seen."""
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    if lines:
        _place_jaw(points.line_mean, points.line_modes, work.candidate, x, work.turned)
    _place_points(points.mean, points.modes, x, lines, work.turned)
    _move(rotation, translation, work.turned, work.seen)
