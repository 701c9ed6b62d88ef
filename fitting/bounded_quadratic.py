"""A small quadratic function within box bounds, by block principal pivoting, in Numba.

Minimises 1/2 y^T S y + c^T y for lower <= y <= upper, S positive definite. Guesses which unknowns
stand at a bound, solves for the others, and exchanges every unknown whose guess proves wrong;
where that does not settle, only the last one (Judice and Pires 1994, Murty's rule). With a good
guess one or two Cholesky factorisations are all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from .solver.linear_algebra import SUMS, cholesky, padded, solve_lower, solve_upper

AT_LOWER, FREE, AT_UPPER = -1, 0, 1
PATIENCE = 3
ROUNDS = 60


class BoundedQuadratic(NamedTuple):
    """A problem of up to n unknowns and its work arrays.

    matrix: (padded n, padded n), S, both triangles. linear, lower, upper: (n,) float64.
    solution: (n,) float64. state: (n,) int8, the guess, then the solution's bounds.
    """

    matrix: NDArray[np.floating]
    linear: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    solution: NDArray[np.float64]
    state: NDArray[np.int8]
    factor: NDArray[np.floating]
    right: NDArray[np.floating]
    member: NDArray[np.int32]
    tile: NDArray[np.floating]


def new_bounded_quadratic(size: int, dtype: DTypeLike) -> BoundedQuadratic:
    """Work arrays for problems of `size` unknowns, matrices of the given type."""
    side = int(padded(size))
    return BoundedQuadratic(
        matrix=np.zeros((side, side), dtype),
        linear=np.zeros(size),
        lower=np.full(size, -np.inf),
        upper=np.full(size, np.inf),
        solution=np.zeros(size),
        state=np.zeros(size, np.int8),
        factor=np.zeros((side, side), dtype),
        right=np.zeros(side, dtype),
        member=np.zeros(size, np.int32),
        tile=np.zeros((4, 4), dtype),
    )


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _solve_free(problem: BoundedQuadratic) -> bool:
    """The solution for the guessed state; False where S is not positive definite."""
    matrix, solution, state = problem.matrix, problem.solution, problem.state
    size, free = len(solution), 0
    for i in range(size):
        if state[i] == FREE:
            problem.member[free] = i
            free += 1
            solution[i] = 0.0
        elif state[i] == AT_LOWER:
            solution[i] = problem.lower[i]
        else:
            solution[i] = problem.upper[i]
    for p in range(free):
        i = problem.member[p]
        right = -problem.linear[i]
        for j in range(size):
            right -= matrix[i, j] * solution[j]
        problem.right[p] = right
        for q in range(p + 1):
            problem.factor[p, q] = matrix[i, problem.member[q]]
    if not cholesky(problem.factor, free, free, problem.tile):
        return False
    solve_lower(problem.factor, free, problem.right)
    solve_upper(problem.factor, free, problem.right)
    for p in range(free):
        solution[problem.member[p]] = problem.right[p]
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _wanted_state(problem: BoundedQuadratic, i: int, slack: float) -> int:
    """The state that unknown i asks for, given the solution for the others."""
    matrix, solution, state = problem.matrix, problem.solution, int(problem.state[i])
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
def minimise(problem: BoundedQuadratic, slack: float = 1e-7) -> int:
    """Fill problem.solution and problem.state; factorisations used, -1 without a solution.

    slack: how far a bound or the sign of a slope at a bound may be missed.
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
    for i in range(size):
        problem.solution[i] = min(max(problem.solution[i], problem.lower[i]), problem.upper[i])
    return ROUNDS
