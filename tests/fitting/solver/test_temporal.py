"""The temporal smoother against scipy on the same energy."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from glee.fitting.solver.temporal import smooth


def test_minimum_agrees_with_scipy():
    random = np.random.default_rng(0)
    count, size, weight = 9, 6, 20.0
    rows = random.normal(size=(count, 10, size))
    hessian = np.einsum("nra,nrb->nab", rows, rows) + 0.1 * np.eye(size)
    x = random.random((count, size))
    x[x < 0.3] = 0.0
    gradient = np.where(x == 0, random.random((count, size)), 0.0)
    linked = np.array([False, True, True, True, False, True, True, True, True])

    def energy(flat):
        z = flat.reshape(count, size)
        apart, jump = z - x, (z[1:] - z[:-1])[linked[1:]]
        own = (2 * gradient * apart).sum() + np.einsum("na,nab,nb", apart, hessian, apart)
        return own + weight * (jump**2).sum()

    expected = minimize(
        energy,
        x.ravel(),
        bounds=[(0, 1)] * x.size,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )
    found = smooth(x, gradient, np.tril(hessian), linked, weight, (np.zeros(size), np.ones(size)))
    assert energy(found.ravel()) <= expected.fun * (1 + 1e-6)
    np.testing.assert_allclose(found.ravel(), expected.x, atol=1e-4)


def test_without_weight_nothing_changes():
    x = np.random.default_rng(1).random((4, 3))
    hessian = np.tile(np.eye(3), (4, 1, 1))
    linked = np.array([False, True, True, True])
    found = smooth(x, np.zeros((4, 3)), hessian, linked, 0.0, (np.zeros(3), np.ones(3)))
    np.testing.assert_allclose(found, x)


def test_a_frame_without_a_solution_stays_and_the_others_are_smoothed():
    x = np.random.default_rng(2).random((6, 3))
    hessian = np.tile(np.eye(3), (6, 1, 1))
    hessian[2] = 0.0
    linked = np.array([False, True, False, False, True, True])
    bounds = np.zeros(3), np.ones(3)
    found = smooth(x, np.zeros((6, 3)), hessian, linked, 10.0, bounds)
    np.testing.assert_array_equal(found[2], x[2])
    for part in (slice(0, 2), slice(3, 6)):
        alone = smooth(x[part], np.zeros_like(x[part]), hessian[part], linked[part], 10.0, bounds)
        assert np.abs(alone - x[part]).max() > 0.01
        np.testing.assert_allclose(found[part], alone, atol=1e-6)
