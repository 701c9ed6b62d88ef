import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import pearsonr

from glee.fitting.morphable_model.landmark_scheme import REGIONS
from glee.reports.demo.comparison import correlations, landmark_errors, moved, rotation_errors


def test_correlations_agree_with_scipy_and_leave_out_failed_frames():
    rng = np.random.default_rng(0)
    truth = rng.random((50, 4))
    measured = truth + rng.normal(0, 0.3, truth.shape)
    measured[7] = np.nan
    known = np.arange(50) != 7
    expected = [pearsonr(measured[known, i], truth[known, i]).statistic for i in range(4)]
    assert correlations(measured, truth) == pytest.approx(expected)


def test_a_coefficient_that_is_never_found_has_r_0_and_one_at_rest_none():
    truth = np.stack([np.linspace(0, 1, 20), np.zeros(20)], axis=1)
    measured = np.stack([np.zeros(20), np.linspace(0, 1, 20)], axis=1)
    r = correlations(measured, truth)
    assert r[0] == 0.0
    assert np.isnan(r[1])


def test_only_coefficients_that_vary_count_as_moved():
    course = np.sin(np.linspace(0, 6, 60))
    truth = np.stack([0.5 + 0.4 * course, 0.02 + 0.02 * course, np.full(60, 0.7)], axis=1)
    assert moved(truth).tolist() == [True, False, False]


def test_rotation_errors_agree_with_scipy():
    rng = np.random.default_rng(1)
    one, other = (Rotation.random(30, random_state=rng) for _ in range(2))
    small = Rotation.from_rotvec(np.radians([[1e-3, 0, 0]])) * one[:1]
    turned = Rotation.concatenate([other, small])
    reference = Rotation.concatenate([one, one[:1]])
    poses = [np.hstack([r.as_rotvec(), rng.random((31, 3))]) for r in (turned, reference)]
    expected = np.degrees((reference.inv() * turned).magnitude())
    assert rotation_errors(*poses) == pytest.approx(expected, abs=1e-5)


def test_a_region_that_is_off_shows_in_its_own_error_alone():
    rng = np.random.default_rng(2)
    truth = rng.random((3, 68, 2)) * 100
    truth[:, 36], truth[:, 45] = (0, 0), (50, 0)
    measured = truth.copy()
    measured[:, list(REGIONS["inner_lip"])] += (0, 5)
    errors = landmark_errors(measured, truth)
    assert errors["inner_lip"] == pytest.approx(0.1)
    assert errors["all68"] == pytest.approx(0.1 * 8 / 68)
    assert errors["inner51"] == pytest.approx(0.1 * 8 / 51)
    assert errors["jaw"] == errors["left_eye"] == 0.0
