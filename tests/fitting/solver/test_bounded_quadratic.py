"""The bounded quadratic problem against scipy's bounded least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from glee.fitting.solver.linear_algebra import (
    AT_LOWER,
    FREE,
    SLACK,
    minimise,
    new_bounded_quadratic,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(12))
def test_minimum_agrees_with_scipy(seed, dtype):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 52))
    rows = random.normal(size=(40, size)) * 10 ** random.uniform(-2, 0, size)
    rows = np.vstack([rows, np.sqrt(1e-3) * np.eye(size)])
    target = np.concatenate([random.normal(size=40), np.zeros(size)])
    problem = new_bounded_quadratic(size, dtype)
    problem.matrix[:size, :size] = rows.T @ rows
    problem.linear[:] = -rows.T @ target
    problem.lower[:] = -random.random(size) * (random.random(size) < 0.5)
    problem.upper[:] = problem.lower + 0.01 + random.random(size)
    assert minimise(problem, SLACK) > 0
    expected = lsq_linear(rows, target, (problem.lower, problem.upper), tol=1e-13).x

    def energy(y):
        return 0.5 * ((rows @ y - target) ** 2).sum()

    assert (problem.solution >= problem.lower - 1e-6).all()
    assert (problem.solution <= problem.upper + 1e-6).all()
    assert energy(problem.solution) <= energy(expected) * (1 + 1e-5)


def test_a_good_guess_needs_one_factorisation():
    problem = new_bounded_quadratic(4, np.float64)
    problem.matrix[:4, :4] = np.eye(4)
    problem.linear[:] = [1.0, -1.0, 1.0, -1.0]
    problem.lower[:], problem.upper[:] = 0.0, 10.0
    problem.state[:] = [AT_LOWER, FREE, AT_LOWER, FREE]
    assert minimise(problem, SLACK) == 1
    np.testing.assert_allclose(problem.solution, [0, 1, 0, 1])


def test_no_solution_where_the_matrix_is_indefinite():
    problem = new_bounded_quadratic(3, np.float64)
    problem.matrix[:3, :3] = np.diag([1.0, -1.0, 1.0])
    assert minimise(problem, SLACK) == -1
