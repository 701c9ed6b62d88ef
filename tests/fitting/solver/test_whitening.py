"""Whitening cut into end points and sliding landmarks, against NumPy on the whole covariance."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import curve_table
from glee.fitting.solver.whitening import (
    choose_slot,
    new_whitening,
    whiten,
    whiten_rows,
    whitened_pull,
)

CURVE_OF = curve_table()[0]
UNIT = 0.01


@pytest.fixture(params=["all seen", "a sliding one missing", "an end point missing"])
def rows(request):
    """A covariance, and 90 rows: directions and weights, end points first."""
    random = np.random.default_rng(5)
    half = random.normal(size=(136, 200))
    covariance = 1e-4 * (half @ half.T / 200 + 0.2 * np.eye(136))
    order = np.argsort(CURVE_OF >= 0, kind="stable")
    landmark = np.concatenate([[i, i] if CURVE_OF[i] < 0 else [i] for i in order])
    direction = np.empty((len(landmark), 2))
    ends = CURVE_OF[landmark] < 0
    direction[ends] = np.tile(np.eye(2), (ends.sum() // 2, 1))
    angle = random.uniform(0, 6.3, (~ends).sum())
    direction[~ends] = np.stack([np.cos(angle), np.sin(angle)], 1)
    weight = np.ones(68)
    missing = {"a sliding one missing": 3, "an end point missing": 36}.get(request.param)
    if missing is not None:
        weight[missing] = 0.0
    return covariance, landmark, direction, weight


def whole(covariance, landmark, direction, weight):
    """S of the rows; a missing landmark's row is alone."""
    places = np.zeros((len(landmark), 136))
    for row, i in enumerate(landmark):
        places[row, 2 * i : 2 * i + 2] = direction[row]
    out = places @ covariance @ places.T
    alone = weight[landmark] == 0
    out[alone] = 0.0
    out[:, alone] = 0.0
    out[alone, alone] = 1.0
    return out


def test_values_rows_and_pulls_are_those_of_the_whole_covariance(rows):
    covariance, landmark, direction, weight = rows
    random = np.random.default_rng(6)
    made = new_whitening(CURVE_OF >= 0, np.stack([np.eye(136), covariance]), UNIT, np.float64)
    choose_slot(made, 1, weight, CURVE_OF)
    row_weight = weight[landmark]
    value = random.normal(size=len(landmark)) * row_weight
    whole_tiles = np.zeros((2, 96))
    whitened, pull = whole_tiles[:, : len(landmark)]
    whitened[:] = value
    assert whiten(made, direction, row_weight, whitened)
    inverse = np.linalg.inv(whole(covariance, landmark, direction, weight))
    assert whitened @ whitened == pytest.approx(UNIT**2 * value @ inverse @ value, rel=1e-6)
    pull[:] = whitened
    whitened_pull(made, pull)
    np.testing.assert_allclose(pull, UNIT**2 * inverse @ value, rtol=1e-5, atol=1e-9)
    jacobian = np.zeros((96, 16))
    jacobian[: len(landmark)] = random.normal(size=(len(landmark), 16)) * row_weight[:, None]
    jacobian[len(landmark) :] = 7.0
    measured = jacobian[: len(landmark)].copy()
    expected = UNIT**2 * measured.T @ inverse @ measured
    whiten_rows(made, jacobian, 16)
    measured = jacobian[: len(landmark)]
    np.testing.assert_allclose(measured.T @ measured, expected, rtol=1e-5, atol=1e-8)
    # What lies behind the rows, the curvature beside nodes, stays.
    assert (jacobian[len(landmark) :] == 7.0).all()
