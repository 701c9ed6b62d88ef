"""Minima of frames' quadratics within bounds, against scipy; deviations, against an inverse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from glee.fitting.solver.frame_quadratics import frame_deviations, minimise_frames

FRAMES, SIZE = 12, 51


@pytest.fixture
def quadratics():
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(FRAMES, SIZE, SIZE)) + 2.0 * np.eye(SIZE)
    x = np.clip(rng.normal(0.2, 0.4, (FRAMES, SIZE)), 0.0, 1.0)
    return 1e-4 * factors, x, 1e-3 * rng.normal(size=(FRAMES, SIZE))


def test_minima_are_those_of_bounded_least_squares(quadratics):
    factors, x, gradient = quadratics
    hessian = np.einsum("nki,nkj->nij", factors, factors)
    found = minimise_frames(x, np.tril(hessian), gradient, (np.zeros(SIZE), np.ones(SIZE)))
    assert ((found > 0.0) & (found < 1.0)).any()
    assert (found == 0.0).any()
    assert (found == 1.0).any()
    for t in range(FRAMES):
        # |F d + s|^2 has the Hessian F^T F and the slope F^T s at d = 0.
        offset = np.linalg.solve(factors[t].T, gradient[t])
        ends = (-x[t] - 1e-15, 1.0 - x[t] + 1e-15)
        wanted = lsq_linear(1e4 * factors[t], -1e4 * offset, ends, method="bvls")
        np.testing.assert_allclose(found[t], x[t] + wanted.x, atol=2e-6)


def test_deviations_are_the_inverse_s_diagonal(quadratics):
    factors, _, _ = quadratics
    hessian = np.einsum("nki,nkj->nij", factors, factors)
    wanted = 0.01 * np.sqrt(np.diagonal(np.linalg.inv(hessian), axis1=1, axis2=2))
    np.testing.assert_allclose(frame_deviations(np.tril(hessian), 0.01), wanted, rtol=1e-6)


def test_a_frame_without_a_minimum_stays_and_has_no_deviation(quadratics):
    _, x, gradient = quadratics
    hessian = np.zeros((FRAMES, SIZE, SIZE))
    found = minimise_frames(x, hessian, gradient + 1.0, (np.full(SIZE, -9.0), np.full(SIZE, 9.0)))
    np.testing.assert_array_equal(found, x)
    assert np.isnan(frame_deviations(hessian, 0.01)).all()


@pytest.mark.parametrize(("size", "at"), [(3, 0), (51, 50)])
def test_a_frame_without_a_minimum_leaves_the_frames_behind_it_alone(size, at):
    hessian = np.tile(np.eye(size), (3, 1, 1))
    hessian[1, at, at] = -1.0
    found = frame_deviations(hessian, 0.01)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], 0.01)
