"""Small dense kernels: row products, Cholesky, triangular solves, box-bounded quadratics.

Small symmetric systems without allocation, made for sizes up to a few hundred. Matrices are
C-contiguous, float32 or float64; of a symmetric one only the lower triangle is read and written.
Rows are taken four at a time, so that one pass over a row serves sixteen products and the compiler
can use vector instructions (register blocking; Golub and Van Loan, Matrix computations, sections
1.3 and 4.2): every matrix has its rows padded to a multiple of four (``padded``).

A quadratic function within box bounds is minimised by block principal pivoting (Judice and Pires
1994) on top of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

Matrix = NDArray[np.floating]

# Sums may be reordered and contracted: systems are regularised, and the next iteration refines.
# NaN and infinity keep their meaning, since divergence is detected by them.
SUMS = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True)
def padded(size: int) -> int:
    """The next multiple of four.

    Parameters
    ----------
    size : a number of rows
    """
    return (size + 3) // 4 * 4


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


@njit(fastmath=SUMS, cache=True, boundscheck=False, inline="never")
def _products(rows: Matrix, i: int, j: int, length: int, tile: Matrix) -> None:
    """tile[a, b] = the dot product of rows i + a and j + b over the first `length` columns."""
    zero = rows.dtype.type(0.0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
    a0, a1, a2, a3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    b0, b1, b2, b3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
    for k in range(length):
        x0, x1, x2, x3 = a0[k], a1[k], a2[k], a3[k]
        y0, y1, y2, y3 = b0[k], b1[k], b2[k], b3[k]
        s00 += x0 * y0
        s01 += x0 * y1
        s02 += x0 * y2
        s03 += x0 * y3
        s10 += x1 * y0
        s11 += x1 * y1
        s12 += x1 * y2
        s13 += x1 * y3
        s20 += x2 * y0
        s21 += x2 * y1
        s22 += x2 * y2
        s23 += x2 * y3
        s30 += x3 * y0
        s31 += x3 * y1
        s32 += x3 * y2
        s33 += x3 * y3
    tile[0, 0], tile[0, 1], tile[0, 2], tile[0, 3] = s00, s01, s02, s03
    tile[1, 0], tile[1, 1], tile[1, 2], tile[1, 3] = s10, s11, s12, s13
    tile[2, 0], tile[2, 1], tile[2, 2], tile[2, 3] = s20, s21, s22, s23
    tile[3, 0], tile[3, 1], tile[3, 2], tile[3, 3] = s30, s31, s32, s33


@njit(cache=True, boundscheck=False)
def row_products(rows: Matrix, size: int, length: int, out: Matrix, tile: Matrix) -> None:
    """out = rows rows^T, lower triangle.

    Parameters
    ----------
    rows : (>= padded(size), >= length)
    size, length : how many of its rows and columns count
    out : (>= padded(size), >= padded(size)), filled
    tile : (4, 4), work
    """
    for i in range(0, size, 4):
        for j in range(0, i + 4, 4):
            _products(rows, i, j, length, tile)
            for a in range(4):
                for b in range(4):
                    out[i + a, j + b] = tile[a, b]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def cholesky(a: Matrix, size: int, stop: int, tile: Matrix) -> bool:
    """Factor a = L L^T in place, lower triangle, through a column.

    Left-looking, tile by tile: a tile less the products of the finished columns, then solved with
    the diagonal tile. With stop < size, which must then be a multiple of four, rows from `stop` on
    hold L in the first `stop` columns and the Schur complement behind them: with a = (A, C^T; C, D)
    and A = L L^T they hold B = C L^-T and D - B B^T.

    Parameters
    ----------
    a : (>= padded(size), >= padded(size)), overwritten; the diagonal of L is stored as its
        reciprocals
    size : number of unknowns
    stop : columns that are factored
    tile : (4, 4), work

    Returns
    -------
    bool
        False where a is not positive definite, or not finite
    """
    for i in range(0, size, 4):
        for j in range(0, i + 4, 4):
            done = min(j, stop)
            if done > 0:
                _products(a, i, j, done, tile)
                for p in range(4):
                    for q in range(4):
                        a[i + p, j + q] -= tile[p, q]
            if j >= stop:
                continue
            if i > j and j + 4 <= stop:
                _finish_tile(a, i, j)
            elif not _finish_diagonal(a, i, j, min(i + 4, size), min(j + 4, stop)):
                return False
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _finish_tile(a: Matrix, i: int, j: int) -> None:
    """Rows i .. i+3 of L in columns j .. j+3, below the diagonal block."""
    r0, r1, r2, r3 = a[j, j], a[j + 1, j + 1], a[j + 2, j + 2], a[j + 3, j + 3]
    l10, l20, l21 = a[j + 1, j], a[j + 2, j], a[j + 2, j + 1]
    l30, l31, l32 = a[j + 3, j], a[j + 3, j + 1], a[j + 3, j + 2]
    for p in range(i, i + 4):
        v0 = a[p, j] * r0
        v1 = (a[p, j + 1] - v0 * l10) * r1
        v2 = (a[p, j + 2] - v0 * l20 - v1 * l21) * r2
        v3 = (a[p, j + 3] - v0 * l30 - v1 * l31 - v2 * l32) * r3
        a[p, j], a[p, j + 1], a[p, j + 2], a[p, j + 3] = v0, v1, v2, v3


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _finish_diagonal(a: Matrix, i: int, j: int, rows: int, columns: int) -> bool:
    """L in rows i .. rows-1 and columns j .. columns-1, where they meet the diagonal or the end."""
    for q in range(j, columns):
        for p in range(max(i, q), rows):
            value = a[p, q]
            for k in range(j, q):
                value -= a[p, k] * a[q, k]
            if p == q:
                if not value > 0.0:
                    return False
                a[p, q] = a.dtype.type(1.0) / np.sqrt(value)
            else:
                a[p, q] = value * a[q, q]
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def solve_lower(a: Matrix, size: int, b: Matrix) -> None:
    """b = L^-1 b in place.

    Parameters
    ----------
    a : (>= size, >= size), L as `cholesky` leaves it
    size : number of unknowns
    b : (>= size,), overwritten
    """
    for i in range(size):
        value = b[i]
        for k in range(i):
            value -= a[i, k] * b[k]
        b[i] = value * a[i, i]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def solve_upper(a: Matrix, size: int, b: Matrix) -> None:
    """b = L^-T b in place.

    Parameters
    ----------
    a : (>= size, >= size), L as `cholesky` leaves it
    size : number of unknowns
    b : (>= size,), overwritten
    """
    for i in range(size - 1, -1, -1):
        value = b[i] * a[i, i]
        b[i] = value
        for k in range(i):
            b[k] -= a[i, k] * value


AT_LOWER, FREE, AT_UPPER = -1, 0, 1
# Rounds in which the number of wrong guesses need not fall before unknowns are exchanged singly.
PATIENCE = 3
# How far a step may miss a bound or the sign of a slope.
SLACK = 1e-7
# Murty's rule ends by itself, but after up to 2^n exchanges; a few rounds are all that fits need.
ROUNDS = 60


class BoundedQuadratic(NamedTuple):
    """The minimum of 1/2 y^T S y + c^T y for lower <= y <= upper, S positive definite.

    Attributes
    ----------
    matrix : (n padded, n padded), S, both triangles
    linear : (n,) float64, c
    lower, upper : (n,) float64
    solution : (n,) float64, filled
    state : (n,) int8, AT_LOWER, FREE or AT_UPPER: the guess, then the solution's
    factor, rhs, member, tile : work arrays
    """

    matrix: NDArray[np.floating]
    linear: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    solution: NDArray[np.float64]
    state: NDArray[np.int8]
    factor: NDArray[np.floating]
    rhs: NDArray[np.floating]
    member: NDArray[np.int32]
    tile: NDArray[np.floating]


def new_bounded_quadratic(size: int, dtype: DTypeLike) -> BoundedQuadratic:
    """A problem and its work arrays, to be filled.

    Parameters
    ----------
    size : number of unknowns n
    dtype : of the matrices

    Returns
    -------
    BoundedQuadratic
        without bounds, S and c zero
    """
    side = int(padded(size))
    return BoundedQuadratic(
        matrix=np.zeros((side, side), dtype),
        linear=np.zeros(size),
        lower=np.full(size, -np.inf),
        upper=np.full(size, np.inf),
        solution=np.zeros(size),
        state=np.zeros(size, np.int8),
        factor=np.zeros((side, side), dtype),
        rhs=np.zeros(side, dtype),
        member=np.zeros(size, np.int32),
        tile=np.zeros((4, 4), dtype),
    )


@njit(cache=True, boundscheck=False)
def _find_free(problem: BoundedQuadratic) -> int:
    """Fill `member` with the free unknowns and the solution with 0 there; how many there are.

    The others are put at their bounds.
    """
    solution, state, free = problem.solution, problem.state, 0
    for i in range(len(solution)):
        if state[i] == FREE:
            problem.member[free] = i
            free += 1
            solution[i] = 0.0
        elif state[i] == AT_LOWER:
            solution[i] = problem.lower[i]
        else:
            solution[i] = problem.upper[i]
    return free


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _solve_free(problem: BoundedQuadratic) -> bool:
    """The solution for the guessed state; False where S is not positive definite."""
    matrix, solution = problem.matrix, problem.solution
    size, free = len(solution), _find_free(problem)
    for p in range(free):
        i = problem.member[p]
        value = -problem.linear[i]
        # What stands at a bound moves to the right-hand side; free ones are 0 so far.
        for j in range(size):
            value -= matrix[i, j] * solution[j]
        problem.rhs[p] = value
        for q in range(p + 1):
            problem.factor[p, q] = matrix[i, problem.member[q]]
    if not cholesky(problem.factor, free, free, problem.tile):
        return False
    solve_lower(problem.factor, free, problem.rhs)
    solve_upper(problem.factor, free, problem.rhs)
    for p in range(free):
        solution[problem.member[p]] = problem.rhs[p]
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _wanted_state(problem: BoundedQuadratic, i: int, slack: float) -> int:
    """The state that unknown i asks for, given the solution for the others."""
    matrix, solution, state = problem.matrix, problem.solution, int(problem.state[i])
    # Optimal (Karush, Kuhn and Tucker) is a free unknown between its bounds, where its slope is 0,
    # and one at a bound whose slope pushes it against that bound.
    if state == FREE:
        if solution[i] < problem.lower[i] - slack:
            return AT_LOWER
        if solution[i] > problem.upper[i] + slack:
            return AT_UPPER
        return FREE
    slope = problem.linear[i]
    for j in range(len(solution)):
        slope += matrix[i, j] * solution[j]
    if slope * state > slack:
        return FREE
    return state


@njit(cache=True, boundscheck=False)
def minimise(problem: BoundedQuadratic, slack: float) -> int:
    """Solve a bounded problem by block principal pivoting.

    Guesses which unknowns stand at a bound, solves for the others, and exchanges every unknown
    whose guess proves wrong; where that does not settle, only the last one (Judice and Pires, A
    block principal pivoting algorithm for large-scale strictly monotone linear complementarity
    problems, 1994, with Murty's rule). With a good guess one or two factorisations are all.

    Parameters
    ----------
    problem : filled: solution and state
    slack : how far a bound or the sign of a slope at a bound may be missed, `SLACK` for steps

    Returns
    -------
    int
        factorisations used, -1 without a solution
    """
    size = len(problem.linear)
    fewest, patience = size + 1, PATIENCE
    for rounds in range(1, ROUNDS + 1):
        if not _solve_free(problem):
            return -1
        wrong, last = 0, -1
        for i in range(size):
            if _wanted_state(problem, i, slack) != problem.state[i]:
                wrong, last = wrong + 1, i
        if wrong == 0:
            return rounds
        if wrong < fewest:
            fewest, patience = wrong, PATIENCE
        else:
            patience -= 1
        if patience >= 0:
            for i in range(size):
                problem.member[i] = _wanted_state(problem, i, slack)
            for i in range(size):
                problem.state[i] = problem.member[i]
        else:
            problem.state[last] = _wanted_state(problem, last, slack)
    # Not settled: the last solution, cut to the bounds. Callers keep a step only where it lowers
    # their energy.
    for i in range(size):
        problem.solution[i] = min(max(problem.solution[i], problem.lower[i]), problem.upper[i])
    return ROUNDS
