"""A quadratic function within box bounds, minimised by block principal pivoting.

Judice and Pires, A block principal pivoting algorithm for large-scale strictly monotone linear
complementarity problems, 1994.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from .tiles import padded, stride
from .triangular import SUMS, cholesky, pad, solve_lower, solve_upper

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
    matrix : (n, n), S, both triangles
    linear : (n,) float64, c
    lower, upper : (n,) float64
    solution : (n,) float64, filled
    state : (n,) int8, AT_LOWER, FREE or AT_UPPER: the guess, then the solution's
    factor, rhs, member : work arrays
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
        matrix=np.zeros((size, size), dtype),
        linear=np.zeros(size),
        lower=np.full(size, -np.inf),
        upper=np.full(size, np.inf),
        solution=np.zeros(size),
        state=np.zeros(size, np.int8),
        factor=np.zeros((side, stride(size)), dtype),
        rhs=np.zeros(side, dtype),
        member=np.zeros(size, np.int32),
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
    matrix, solution, linear = problem.matrix, problem.solution, problem.linear
    factor, rhs, member = problem.factor, problem.rhs, problem.member
    size, free = len(solution), _find_free(problem)
    for p in range(free):
        i = member[p]
        rhs[p] = -linear[i]
        for q in range(p, free):
            factor[p, q] = matrix[i, member[q]]
    pad(factor, free)
    for p in range(free, padded(free)):
        rhs[p] = 0.0
    # What stands at a bound moves to the right-hand side; free ones are 0 so far, and most bounds
    # are where an unknown already stands.
    for j in range(size):
        if solution[j] != 0.0:
            for p in range(free):
                rhs[p] -= matrix[j, member[p]] * solution[j]
    if not cholesky(factor, free, free):
        return False
    solve_lower(factor, free, free, rhs)
    solve_upper(factor, free, free, rhs)
    for p in range(free):
        solution[member[p]] = rhs[p]
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
    whose guess proves wrong; where that does not settle, only the last one (Judice and Pires 1994,
    with Murty's rule). With a good guess one or two factorisations are all.

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
            problem.member[i] = _wanted_state(problem, i, slack)
            if problem.member[i] != problem.state[i]:
                wrong, last = wrong + 1, i
        if wrong == 0:
            return rounds
        if wrong < fewest:
            fewest, patience = wrong, PATIENCE
        else:
            patience -= 1
        if patience >= 0:
            for i in range(size):
                problem.state[i] = problem.member[i]
        else:
            problem.state[last] = problem.member[last]
    # Not settled: the last solution, cut to the bounds. Callers keep a step only where it lowers
    # their energy.
    for i in range(size):
        problem.solution[i] = min(max(problem.solution[i], problem.lower[i]), problem.upper[i])
    return ROUNDS
