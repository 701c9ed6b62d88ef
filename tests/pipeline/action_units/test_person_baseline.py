"""Percentiles of histograms against NumPy's, and the frames that users name."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import UsageError
from glee.pipeline.action_units.person_baseline import BINS, BaselineFrames, ReadingCounts


@pytest.mark.parametrize("percent", [5.0, 20.0, 50.0])
def test_percentiles_are_numpys(percent):
    rng = np.random.default_rng(4)
    readings = rng.beta(1.0, 4.0, (733, 3)) * [1.0, 2.5, 0.4]
    largest = np.array([1.0, 2.5, 0.4])
    counts = ReadingCounts(largest)
    for block in np.array_split(readings, 5):
        counts.add(block)
    expected = np.percentile(readings, percent, axis=0, method="inverted_cdf")
    np.testing.assert_array_less(
        np.abs(counts.percentile(percent) - expected), 1.01 * largest / BINS
    )
    assert counts.frames == 733


def test_what_is_not_known_is_not_counted():
    counts = ReadingCounts(np.ones(2))
    counts.add(np.array([[0.5, np.nan], [np.nan, np.nan]]))
    assert counts.frames == 1
    assert counts.percentile(20.0)[0] == pytest.approx(0.5, abs=1 / BINS)
    assert np.isnan(counts.percentile(20.0)[1])


def test_rest_is_exactly_zero_where_readings_are():
    counts = ReadingCounts(np.ones(1))
    counts.add(np.array([[0.0], [0.0], [0.0], [0.9]]))
    assert counts.percentile(50.0)[0] == 0.0


def test_frames():
    named = BaselineFrames.parse("3,10-40")
    assert [named.has(frame) for frame in (2, 3, 4, 10, 40, 41)] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert BaselineFrames.parse("auto").kind == "auto"


@pytest.mark.parametrize("text", ["", "neutral", "3-", "5-2", "1,,2", "-3", "1.5"])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="baseline"):
        BaselineFrames.parse(text)
