"""Small dense kernels against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from glee.fitting.solver import linear_algebra as kernels

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def make_rows(count, size, dtype):
    """Rows of whole tiles, 0 beyond their size."""
    rows = np.zeros((count, kernels.stride(size)), dtype)
    rows[:, :size] = np.random.default_rng(size).normal(size=(count, size))
    return rows


def make_system(rows, size):
    """Their products, and the same by NumPy."""
    side = int(kernels.padded(size))
    system = np.full((side, kernels.stride(size)), np.nan, rows.dtype)
    kernels.inner_products(rows, len(rows), size, system)
    full = rows[:, :size].astype(np.float64).T @ rows[:, :size]
    return system, full


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 4, 7, 8, 51, 90])
def test_factor_and_solve(size, dtype):
    system, full = make_system(make_rows(103, size, dtype), size)
    np.testing.assert_allclose(
        np.triu(system[:size, :size]), np.triu(full), atol=104 * TOLERANCE[dtype]
    )
    system[np.diag_indices(len(system))] += dtype(10)
    full += 10 * np.eye(size)
    assert kernels.cholesky(system, size, size)
    factor = np.triu(system[:size, :size])
    np.fill_diagonal(factor, 1 / np.diag(factor))
    np.testing.assert_allclose(factor, np.linalg.cholesky(full).T, atol=20 * TOLERANCE[dtype])
    right = np.ones(len(system), dtype)
    kernels.solve_lower(system, size, size, right)
    kernels.solve_upper(system, size, size, right)
    np.testing.assert_allclose(full @ right[:size], 1.0, atol=100 * TOLERANCE[dtype])


def test_partial_factor_leaves_the_schur_complement():
    system, full = make_system(make_rows(40, 32, np.float64), 32)
    assert kernels.cholesky(system, 32, 16)
    schur = full[16:, 16:] - full[16:, :16] @ np.linalg.solve(full[:16, :16], full[:16, 16:])
    np.testing.assert_allclose(np.triu(system[16:, 16:32]), np.triu(schur), atol=1e-10)


@pytest.mark.parametrize("size", [3, 8, 51])
def test_rows_are_eliminated_and_the_factor_inverted(size):
    _, full = make_system(make_rows(60, size, np.float64), size)
    side = int(kernels.padded(size))
    factor = np.eye(side, kernels.stride(size))
    factor[:size, :size] = full
    assert kernels.cholesky(factor, size, size)
    lower = np.linalg.cholesky(full)
    rows = make_rows(side, 20, np.float64)
    wanted, behind = np.linalg.solve(lower, rows[:size, :20]), rows[size:].copy()
    kernels.eliminate_rows(factor, size, rows, 20)
    np.testing.assert_allclose(rows[:size, :20], wanted, atol=1e-10)
    np.testing.assert_array_equal(rows[size:], behind)
    inverse = np.full((side, side), np.nan)
    kernels.invert_transposed(factor, size, inverse)
    np.testing.assert_allclose(inverse[:size, :size], np.linalg.inv(lower), atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [3, 51, 64])
@pytest.mark.parametrize(("first", "stop"), [(0, 3), (5, 30), (31, 34), (0, 36), (35, 36)])
def test_products_of_some_rows(first, stop, length, dtype):
    random = np.random.default_rng(length)
    rows = random.normal(size=(3, 4, 3, length)).astype(dtype)
    vector = random.normal(size=length).astype(dtype)
    out = np.zeros(56, dtype)
    at = kernels.dots(rows, vector, first, stop, out)
    wanted = rows.reshape(-1, length)[first:stop] @ vector
    np.testing.assert_allclose(out[at : at + stop - first], wanted, atol=20 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [5, 8, 51, 111])
def test_products_of_scattered_rows(length, dtype):
    random = np.random.default_rng(length)
    matrix = random.normal(size=(3, 4, 3, length)).astype(dtype)
    vector = random.normal(size=length).astype(dtype)
    rows = np.array([35, 0, 3, 3, 17, 8, 34, 1, 2, 5, 7, 11, 13, 17, 19, 23], np.intp)
    out = np.full(17, 7.0, dtype)
    kernels.dots_of(matrix, vector, rows, out)
    wanted = matrix.reshape(-1, length)[rows] @ vector
    np.testing.assert_allclose(out[:16], wanted, atol=20 * TOLERANCE[dtype])
    assert out[16] == 7.0


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_matrix_that_is_not_positive_is_refused(value):
    system = np.eye(8)
    system[5, 5] = value
    assert not kernels.cholesky(system, 8, 8)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
@pytest.mark.parametrize(("size", "at"), [(3, 0), (51, 50)])
def test_what_is_refused_leaves_no_trace(size, at, value):
    side = int(kernels.padded(size))
    system = np.eye(side, kernels.stride(size))
    system[at, at] = value
    assert not kernels.cholesky(system, size, size)
    system[:size, :size] = 4 * np.eye(size)
    assert kernels.cholesky(system, size, size)
    np.testing.assert_array_equal(np.diag(system)[:size], 0.5)


@pytest.mark.parametrize(
    ("rows", "vector"),
    [
        (np.zeros((16, 16))[:, ::2], np.zeros(8)),
        (np.zeros((16, 8)), np.zeros(16)[::2]),
        (np.zeros((16, 8)), np.zeros(8, np.float32)),
        (np.zeros((16, 8), np.float32), np.zeros(8)),
    ],
)
def test_arrays_that_are_not_contiguous_or_of_two_types_are_refused(rows, vector):
    with pytest.raises(TypingError, match="C-contiguous arrays of one type|reshape"):
        kernels.dots(rows, vector, 0, 16, np.zeros(24, rows.dtype))
