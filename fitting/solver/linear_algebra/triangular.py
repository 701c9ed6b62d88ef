"""Cholesky's factorisation, whole and partial, and what its factor solves.

Matrices are C-contiguous, float32 or float64, with rows and columns padded to whole tiles
(``padded``). Of a symmetric one only the upper triangle is read and written: a = U^T U with U upper
triangular, whose rows are contiguous, as tiles want them. The diagonal of U is stored as its
reciprocals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .tiles import (
    SIDE,
    eliminate_tile,
    factor_tile,
    padded,
    set_dots,
    set_scattered_dots,
    set_tile,
    subtract_columns,
    subtract_rows,
    subtract_tile,
)

Matrix = NDArray[np.floating]

# Sums may be reordered and contracted: systems are regularised, and the next iteration refines.
# NaN and infinity keep their meaning, since divergence is detected by them.
SUMS = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, boundscheck=False)
def copy_row(source: NDArray[Any], to: NDArray[Any]) -> None:
    """to = source, for rows that do not overlap.

    Numba compiles an assignment of slices into much more: it looks for an overlap, and allocates.

    Parameters
    ----------
    source : (n,)
    to : (n,), overwritten
    """
    for k in range(len(to)):
        to[k] = source[k]


@njit(cache=True, boundscheck=False)
def dots(a: NDArray[np.floating], b: Matrix, first: int, stop: int, out: Matrix) -> int:
    """out = a[first : stop] b; rows are counted over all leading axes.

    Parameters
    ----------
    a : (..., n), of at least a tile's side of rows
    b : (n,)
    first, stop : rows
    out : (>= padded(stop - first) + a tile's side,), filled

    Returns
    -------
    int
        where in out the products begin: at the last rows of a they do not begin at 0
    """
    if len(b) < SIDE:
        every = a.reshape(-1, len(b))
        for row in range(first, stop):
            total = a.dtype.type(0.0)
            for k in range(len(b)):
                total += every[row, k] * b[k]
            out[row - first] = total
        return 0
    last = a.size // len(b) - SIDE
    start = min(first, last)
    for row in range(start, stop, SIDE):
        at = min(row, last)
        set_dots(a, b, out, at, at - start)
    return first - start


@njit(cache=True, boundscheck=False)
def dots_of(a: NDArray[np.floating], b: Matrix, rows: NDArray[np.intp], out: Matrix) -> None:
    """out = a[rows] b; rows are counted over all leading axes.

    Parameters
    ----------
    a : (..., n)
    b : (n,)
    rows : (r,), whole tiles' sides of them
    out : (>= r,), filled
    """
    if len(b) < SIDE:
        every = a.reshape(-1, len(b))
        for at in range(len(rows)):
            total = a.dtype.type(0.0)
            for k in range(len(b)):
                total += every[rows[at], k] * b[k]
            out[at] = total
        return
    for at in range(0, len(rows), SIDE):
        set_scattered_dots(a, b, out, rows, at)


@njit(cache=True, boundscheck=False)
def inner_products(rows: Matrix, count: int, size: int, out: Matrix) -> None:
    """out = rows^T rows, upper triangle.

    Parameters
    ----------
    rows : (>= count, >= padded(size))
    count, size : how many of its rows and columns count
    out : (>= padded(size), >= padded(size)), filled
    """
    for i in range(0, size, SIDE):
        for j in range(i, size, SIDE):
            set_tile(out, rows, rows, i, j, count)


@njit(cache=True, boundscheck=False)
def pad(a: Matrix, size: int) -> None:
    """Make the upper triangle of a the identity beyond `size`, to whole tiles.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), overwritten there
    size : number of unknowns
    """
    for p in range(size, padded(size)):
        for q in range(p):
            a[q, p] = 0.0
        a[p, p] = 1.0


@njit(cache=True, boundscheck=False)
def cholesky(a: Matrix, size: int, stop: int) -> bool:
    """Factor a = U^T U in place, upper triangle, up to a row.

    Left-looking, tile by tile: a tile less the products of the finished rows, then solved with the
    diagonal's tile. With stop < size, which must then be a multiple of a tile's side, the first
    `stop` rows hold those of U and the others the Schur complement: with a = (A, B; B^T, D) and
    A = U^T U they hold C = U^-T B and D - C^T C.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), overwritten; beyond `size` the identity, and left so
    size : number of unknowns
    stop : rows that are factored

    Returns
    -------
    bool
        False where a is not positive definite, or not a number
    """
    for i in range(0, stop, SIDE):
        if not factor_tile(a, a, a, i, i, i):
            # What is not a number has spread over the whole tile, and the next system that is put
            # into these arrays does not fill what lies beyond it.
            pad(a, size)
            return False
        for j in range(i + SIDE, size, SIDE):
            eliminate_tile(a, a, a, i, j, i)
    for i in range(stop, size, SIDE):
        for j in range(i, size, SIDE):
            subtract_tile(a, a, a, i, j, stop)
    return True


@njit(cache=True, boundscheck=False)
def eliminate_rows(a: Matrix, size: int, rows: Matrix, width: int) -> None:
    """rows = U^-T rows in place, all columns at once.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), U as `cholesky` leaves it; beyond `size` the identity
    size : number of unknowns
    rows : (>= padded(size), >= padded(width)), the first `size` of which are overwritten
    width : columns that count
    """
    for i in range(0, size, SIDE):
        for j in range(0, width, SIDE):
            eliminate_tile(rows, a, rows, i, j, i)


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def solve_lower(a: Matrix, size: int, stop: int, b: Matrix) -> None:
    """b = U^-T b in place, up to a row.

    With stop < size, a multiple of a tile's side, b_1 = U^-T b_1 and b_2 -= C^T b_1, for the factor
    (U, C) that `cholesky` leaves with this stop.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), as `cholesky` leaves it; beyond `size` the identity
    size : number of unknowns
    stop : how many are eliminated
    b : (>= padded(size),), the first `size` of which are overwritten
    """
    for i in range(0, stop, SIDE):
        subtract_columns(a, b, i, 0, i)
        for row in range(i, i + SIDE):
            b[row] *= a[row, row]
            for k in range(row + 1, i + SIDE):
                b[k] -= a[row, k] * b[row]
    for i in range(stop, size, SIDE):
        subtract_columns(a, b, i, 0, stop)


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def solve_upper(a: Matrix, size: int, stop: int, b: Matrix) -> None:
    """b = U^-1 b in place, the rows before one.

    With stop < size b_2 is given, and b_1 = U^-1 (b_1 - C b_2).

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), as `cholesky` leaves it; beyond `size` the identity
    size : number of unknowns
    stop : how many are solved for; a multiple of a tile's side where it is less than `size`
    b : (>= padded(size),), the first `stop` of which are overwritten; finite
    """
    side = padded(size)
    for i in range(padded(stop) - SIDE, -1, -SIDE):
        subtract_rows(a, b, i, i + SIDE, side)
        for row in range(i + SIDE - 1, i - 1, -1):
            value = b[row]
            for k in range(row + 1, i + SIDE):
                value -= a[row, k] * b[k]
            b[row] = value * a[row, row]


@njit(cache=True, boundscheck=False)
def invert_transposed(a: Matrix, size: int, out: Matrix) -> None:
    """out = U^-T, a lower triangle; (U^T U)^-1 is then out^T out.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), U as `cholesky` leaves it; beyond `size` the identity
    size : number of unknowns
    out : (>= padded(size), >= padded(size)), overwritten
    """
    side = padded(size)
    for i in range(side):
        for j in range(side):
            out[i, j] = 0.0
        out[i, i] = 1.0
    # In columns j and behind, rows before j are 0.
    for i in range(0, size, SIDE):
        for j in range(0, i + SIDE, SIDE):
            eliminate_tile(out, a, out, i, j, i)
