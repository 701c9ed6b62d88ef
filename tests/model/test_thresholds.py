import numpy as np
import pytest

from glee.model.prediction.evaluation import confusion, f1_score
from glee.model.thresholds import best_threshold, best_thresholds, shift_to_half


def test_by_hand():
    """At 0.35 three of four called present are: F1 = 6 / 7; at 0.5 it is 2 / 4."""
    probability = np.array([0.9, 0.4, 0.3, 0.7, 0.4, 0.1])
    labels = np.array([1, 1, 0, 0, 1, 0], np.int8)
    assert best_threshold(probability, labels) == pytest.approx(0.35)


def test_no_other_threshold_is_better():
    random = np.random.default_rng(5)
    labels = random.integers(-1, 2, 80).astype(np.int8)
    probability = np.round(0.3 * (labels == 1) + random.random(80) * 0.7, 2)
    best = best_threshold(probability, labels)
    everywhere = [f1_score(confusion(probability > t, labels)) for t in np.linspace(0, 1, 2001)]
    assert f1_score(confusion(probability > best, labels)) == pytest.approx(max(everywhere))


def test_nearest_to_half_of_equally_good_ones():
    probability = np.array([0.95, 0.9, 0.2])
    assert best_threshold(probability, np.array([1, 1, 0], np.int8)) == pytest.approx(0.55)


@pytest.mark.parametrize("labels", [[0, 0, -1], [1, 1, -1], [-1, -1, -1]])
def test_half_where_nothing_can_be_learnt(labels):
    assert best_threshold(np.array([0.2, 0.4, 0.6]), np.array(labels, np.int8)) == 0.5


def test_above_its_threshold_is_above_half_afterwards():
    random = np.random.default_rng(6)
    probability = random.random((200, 3)).astype(np.float32)
    thresholds = np.array([0.2, 0.5, 0.83])
    shifted = shift_to_half(probability, thresholds)
    assert np.array_equal(shifted > 0.5, probability > thresholds)
    for column in range(3):
        assert np.array_equal(np.argsort(shifted[:, column]), np.argsort(probability[:, column]))
    np.testing.assert_allclose(shifted[:, 1], probability[:, 1], atol=1e-6)


def test_one_for_each_column():
    probability = np.array([[0.9, 0.3], [0.6, 0.2]])
    labels = np.array([[1, 1], [0, 0]], np.int8)
    np.testing.assert_allclose(best_thresholds(probability, labels), [0.75, 0.25])
