"""The prior of f_exp says what plausible expressions are, and fits any order of names."""

from __future__ import annotations

import numpy as np
import pytest
from estimate_expression_prior import plausible_expressions

from glee.errors import UsageError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.options import expression_prior

PRIOR = expression_prior(ARKIT_NAMES)


def _correlation(one: str, other: str) -> float:
    i, j = ARKIT_NAMES.index(one), ARKIT_NAMES.index(other)
    covariance = PRIOR.covariance
    return float(covariance[i, j] / np.sqrt(covariance[i, i] * covariance[j, j]))


def test_what_goes_together_in_faces_goes_together_in_it() -> None:
    """Sides are nearly alike; AU 6 comes with AU 12; a raised brow is not lowered."""
    assert _correlation("mouthSmileLeft", "mouthSmileRight") > 0.9
    assert _correlation("cheekSquintLeft", "mouthSmileLeft") > 0.3
    assert _correlation("browInnerUp", "browOuterUpLeft") > 0.3
    assert _correlation("browDownLeft", "browOuterUpLeft") < 0.0
    assert _correlation("eyeLookInLeft", "eyeLookOutLeft") < 0.0


def test_it_is_a_proper_gaussian_of_coefficients() -> None:
    assert np.all((PRIOR.mean >= 0.0) & (PRIOR.mean < 0.35))
    assert np.allclose(PRIOR.covariance, PRIOR.covariance.T)
    assert np.linalg.eigvalsh(PRIOR.covariance).min() > 0.04**2
    assert np.sqrt(np.diag(PRIOR.covariance)).max() < 0.5


def test_names_tell_the_order() -> None:
    order = np.random.default_rng(0).permutation(len(ARKIT_NAMES))
    shuffled = expression_prior(tuple(ARKIT_NAMES[i] for i in order))
    assert np.array_equal(shuffled.mean, PRIOR.mean[order])
    assert np.array_equal(shuffled.covariance, PRIOR.covariance[np.ix_(order, order)])


def test_a_model_of_other_expressions_is_refused() -> None:
    with pytest.raises(UsageError, match="'expression_1'"):
        expression_prior(("browInnerUp", "expression_1"))


def test_the_asset_is_what_its_script_gives() -> None:
    mean, covariance = plausible_expressions()
    assert np.allclose(mean, PRIOR.mean, atol=1e-6)
    assert np.allclose(covariance, PRIOR.covariance, atol=1e-6)
