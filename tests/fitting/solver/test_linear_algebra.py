"""Small dense kernels against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.solver import linear_algebra as kernels

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def make_rows(size, length, dtype):
    rows = np.zeros((int(kernels.padded(size)), length), dtype)
    rows[:size] = np.random.default_rng(size).normal(size=(size, length))
    return rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 4, 7, 51, 90])
def test_factor_and_solve(size, dtype):
    rows = make_rows(size, 104, dtype)
    side = len(rows)
    system, tile = np.zeros((side, side), dtype), np.zeros((4, 4), dtype)
    kernels.row_products(rows, size, 104, system, tile)
    full = rows[:size].astype(np.float64) @ rows[:size].T
    np.testing.assert_allclose(
        np.tril(system[:size, :size]), np.tril(full), atol=104 * TOLERANCE[dtype]
    )
    system[np.diag_indices(side)] += dtype(10)
    full += 10 * np.eye(size)
    assert kernels.cholesky(system, size, size, tile)
    factor = np.tril(system[:size, :size])
    np.fill_diagonal(factor, 1 / np.diag(factor))
    np.testing.assert_allclose(factor, np.linalg.cholesky(full), atol=20 * TOLERANCE[dtype])
    right = np.ones(side, dtype)
    kernels.solve_lower(system, size, right)
    kernels.solve_upper(system, size, right)
    np.testing.assert_allclose(full @ right[:size], 1.0, atol=100 * TOLERANCE[dtype])


def test_partial_factor_leaves_the_schur_complement():
    rows = make_rows(30, 40, np.float64)
    system, tile = np.zeros((32, 32)), np.zeros((4, 4))
    kernels.row_products(rows, 30, 40, system, tile)
    full = rows[:30] @ rows[:30].T
    assert kernels.cholesky(system, 30, 12, tile)
    schur = full[12:, 12:] - full[12:, :12] @ np.linalg.solve(full[:12, :12], full[:12, 12:])
    np.testing.assert_allclose(np.tril(system[12:30, 12:30]), np.tril(schur), atol=1e-10)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_matrix_that_is_not_positive_is_refused(value):
    system = np.eye(8)
    system[5, 5] = value
    assert not kernels.cholesky(system, 8, 8, np.zeros((4, 4)))
