"""Measures against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glee.errors import DataError
from glee.model.prediction.evaluation import (
    always_positive_f1,
    area_under_curve,
    confusion,
    f1_interval,
    f1_score,
    matthews_correlation,
    measure,
    results_table,
)
from glee.model.prediction.predictions import Predictions

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
