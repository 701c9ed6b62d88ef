"""Measures of agreement against published figures, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score

from glee.reports.coding.agreement_measures import (
    ClipSums,
    intraclass_correlations,
    measure_clips,
    rating_sums,
)

# Six targets by four judges: Shrout and Fleiss (1979), Table 2; their Table 4 has the ICCs.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_iccs_are_those_of_shrout_and_fleiss():
    second, third = intraclass_correlations(rating_sums(JUDGES))
    assert (round(float(second), 2), round(float(third), 2)) == (0.29, 0.71)


def test_iccs_add_up_over_parts_and_are_not_defined_without_variation():
    parts = rating_sums(JUDGES[:2]) + rating_sums(JUDGES[2:])
    assert intraclass_correlations(parts) == intraclass_correlations(rating_sums(JUDGES))
    assert all(map(math.isnan, intraclass_correlations(rating_sums([[1, 1], [1, 1]]))))
    assert all(map(math.isnan, intraclass_correlations(np.zeros(5))))


def clip(seed, count=200, shift=0.0):
    """Labels, scores of one decimal (so that ties occur), and what they add up to."""
    random = np.random.default_rng(seed)
    coded = random.random(count) < 0.3
    scores = np.round(random.normal(1.0 + coded + shift, 1.0), 1)
    return coded, scores


def sums(coded, scores, on=1.5):
    shown = scores >= on
    counts = [(coded & shown), (~coded & shown), (coded & ~shown), (~coded & ~shown)]
    return ClipSums(
        np.array([part.sum() for part in counts], float),
        scores[coded],
        scores[~coded],
        rating_sums(np.stack([2.0 * coded, scores], axis=1)),
        np.array([2.0, 4.0, 3.0]),
    )


def test_measures_over_clips_are_those_of_scikit_learn_on_all_frames():
    clips = [clip(1), clip(2, 150, 0.4), clip(3, 90, -0.2)]
    (found,), mean = measure_clips([[sums(*each) for each in clips]])
    coded = np.concatenate([each[0] for each in clips])
    scores = np.concatenate([each[1] for each in clips])
    assert found["kappa"].value == pytest.approx(cohen_kappa_score(coded, scores >= 1.5))
    assert found["f1"].value == pytest.approx(f1_score(coded, scores >= 1.5))
    assert found["auc"].value == pytest.approx(roc_auc_score(coded, scores))
    assert found["event_recall"].value == pytest.approx(6 / 12)
    assert found["event_precision"].value == pytest.approx(6 / 9)
    assert found["event_f1"].value == pytest.approx(12 / 21)
    assert mean == found


def test_intervals_are_those_of_drawing_clips_one_by_one():
    clips = [clip(seed, 120, 0.3 * (seed % 3)) for seed in range(8)]
    (found,), _ = measure_clips([[sums(*each) for each in clips]], seed=5)
    drawn = []
    for row in np.random.default_rng(5).integers(0, 8, (1000, 8)):
        coded = np.concatenate([clips[i][0] for i in row])
        drawn.append(roc_auc_score(coded, np.concatenate([clips[i][1] for i in row])))
    expected = np.quantile(drawn, [0.025, 0.975])
    assert (found["auc"].low, found["auc"].high) == pytest.approx(tuple(expected))


def test_one_clip_has_no_interval_and_a_rare_unit_neither():
    (found,), _ = measure_clips([[sums(*clip(1))]])
    assert math.isfinite(found["kappa"].value)
    assert math.isnan(found["kappa"].low)
    never = [sums(np.zeros(50, bool), clip(seed, 50)[1]) for seed in range(5)]
    (found,), _ = measure_clips([[sums(*clip(1)), *never]])
    assert math.isfinite(found["auc"].value)
    assert math.isnan(found["auc"].low)


def test_two_who_call_all_frames_alike_have_no_kappa():
    both = ClipSums(np.array([9.0, 0, 0, 0]), np.ones(9), np.ones(0), np.zeros(5), np.zeros(3))
    (found,), _ = measure_clips([[both]])
    assert all(math.isnan(found[name].value) for name in ("kappa", "auc", "icc21", "event_f1"))
    assert found["f1"].value == 1.0
