"""Measures against numbers computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from glee.errors import DataError
from glee.model.prediction.evaluation import (
    always_positive_f1,
    area_under_curve,
    confusion,
    evaluate,
    f1_difference,
    f1_interval,
    f1_score,
    matthews_correlation,
    measure,
    results_table,
)
from glee.model.prediction.predictions import Predictions, save_predictions

LABELS = np.array([1, 1, 1, 0, 0, 0, 0, -1, -1], np.int8)
PROBABILITY = np.array([0.9, 0.8, 0.2, 0.8, 0.1, 0.3, 0.1, 0.99, 0.0])


def test_confusion_and_what_follows_from_it():
    counts = confusion(PROBABILITY > 0.5, LABELS)
    assert counts.tolist() == [2, 1, 1, 3]
    assert f1_score(counts) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    # (2 x 3 - 1 x 1) / sqrt(3 x 3 x 4 x 4)
    assert matthews_correlation(counts) == pytest.approx(5 / 12)


def test_area_under_curve_by_counting_pairs():
    # 0.9 beats all 4; 0.8 beats 3 and ties with one; 0.2 beats 2: 9.5 of 12
    assert area_under_curve(PROBABILITY, LABELS) == pytest.approx(9.5 / 12)
    assert area_under_curve(-PROBABILITY, LABELS) == pytest.approx(2.5 / 12)


def test_always_positive_is_2r_over_1_plus_r():
    assert always_positive_f1(LABELS) == pytest.approx(2 * (3 / 7) / (1 + 3 / 7))
    assert always_positive_f1(np.zeros(4, np.int8)) == 0


def test_undefined_measures_are_nan():
    absent = np.zeros(3, np.int8)
    assert math.isnan(f1_score(confusion(np.zeros(3, bool), absent)))
    assert f1_score(confusion(np.ones(3, bool), absent)) == 0
    assert math.isnan(area_under_curve(np.zeros(3), absent))
    assert math.isnan(matthews_correlation(confusion(np.ones(3, bool), absent)))


def test_interval_contains_the_mean_and_vanishes_without_spread():
    same = np.tile(np.array([[6, 2, 2, 10]]), (8, 3, 1))
    assert f1_interval(same) == pytest.approx((0.75, 0.75))
    random = np.random.default_rng(0).integers(1, 30, (20, 3, 4))
    mean = np.mean([f1_score(au) for au in random.sum(0)])
    low, high = f1_interval(random)
    assert low < mean < high
    assert f1_interval(random) == (low, high)


def run_of(folder, predicted):
    """A run of one fold, whose predictions these are."""
    (folder / "fold1").mkdir(parents=True)
    save_predictions(folder / "fold1" / "predictions.npz", predicted)
    return folder


def people(right, count=12):
    """Frames of subjects of whom a share is predicted right, one subject after the other."""
    labels = np.tile([[1, 0], [0, 1]], (count * 5, 1))
    share = np.repeat(np.linspace(*right, count), 10)[:, None]
    wrong = np.tile(np.arange(10), count)[:, None] >= 10 * share
    one = predictions(labels, np.where(wrong, 1 - labels, labels), "x")
    return replace(one, subject=np.repeat([f"S{i:02}" for i in range(count)], 10))


def test_two_runs_are_compared_on_the_same_subjects(tmp_path):
    good, bad = (
        run_of(tmp_path / "a", people((0.8, 1.0))),
        run_of(tmp_path / "b", people((0.6, 0.8))),
    )
    f1 = [evaluate(run).results["f1"]["mean"] for run in (good, bad)]
    difference, (low, high) = f1_difference(good, bad)
    assert difference == pytest.approx(f1[0] - f1[1])
    assert 0 < low < difference < high
    # Both are drawn on the same people, who are good at both: narrower than either alone.
    alone = evaluate(good).results["f1_interval"]
    assert high - low < alone[1] - alone[0]
    assert f1_difference(good, good) == (0.0, (0.0, 0.0))
    assert f1_difference(bad, good)[0] == pytest.approx(-difference)


def test_runs_of_other_subjects_are_not_compared(tmp_path):
    one = run_of(tmp_path / "a", people((0.8, 1.0)))
    other = run_of(tmp_path / "b", people((0.8, 1.0), count=9))
    with pytest.raises(DataError, match="tested on different subjects"):
        f1_difference(one, other)


def predictions(labels, probability, subject):
    labels = np.array(labels, np.int8)
    return Predictions(
        au_names=np.array(["AU1", "AU2"]),
        shard=np.array(["x.h5"] * len(labels)),
        row=np.arange(len(labels)),
        subject=np.array([subject] * len(labels)),
        frame_id=np.arange(len(labels)),
        labels=labels,
        probability=np.array(probability, np.float32),
    )


def test_f1_is_pooled_over_folds_and_also_averaged_over_them():
    one = predictions([[1, 1], [0, 1]], [[0.9, 0.9], [0.9, 0.9]], "a")
    two = predictions([[1, -1], [1, 0]], [[0.9, 0.9], [0.2, 0.9]], "b")
    results = measure({"1": one, "2": two})
    # AU1: 2 true, 1 false positive, 1 missed; by fold 2/3 and 2/3
    assert results["f1"]["AU1"] == pytest.approx(4 / 6)
    # AU2: 2 true, 1 false positive; by fold 1 and 0
    assert results["f1"]["AU2"] == pytest.approx(4 / 5)
    assert results["f1"]["mean"] == pytest.approx((4 / 6 + 4 / 5) / 2)
    assert results["f1_mean_over_folds"]["AU2"] == pytest.approx(0.5)
    assert results["known"] == {"AU1": 4, "AU2": 3}
    assert results["present"] == {"AU1": 3, "AU2": 2}
    assert results["always_positive_f1"]["AU1"] == pytest.approx(2 * 0.75 / 1.75)
    assert results["subjects"]["b"]["AU2"] == 0
    assert results["folds"]["1"]["f1"]["AU2"] == 1
    assert results["folds"]["2"]["frames"] == 2
    assert "66.7" in results_table(results)


def test_nothing_known_is_an_error():
    with pytest.raises(DataError, match="no label"):
        measure({"1": predictions([[-1, -1]], [[0.5, 0.5]], "a")})
