"""Measures on frames with known labels: F1, AUC, Matthews correlation, and intervals over subjects.

Everywhere: labels (n,) int8 with 1 present, 0 absent, -1 unknown (left out). A measure that its
frames do not define is NaN.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def confusion(present: npt.NDArray[np.bool_], labels: Labels) -> Counts:
    """(4,) int64: true positives, false positives, false negatives, true negatives."""
    yes, no = labels == 1, labels == 0
    return np.array(
        [
            (present & yes).sum(),
            (present & no).sum(),
            (~present & yes).sum(),
            (~present & no).sum(),
        ]
    )


def f1_score(counts: Counts) -> float:
    """F1 from `confusion`; NaN where the AU neither occurs nor is predicted."""
    positive, false_positive, false_negative, _ = (int(value) for value in counts)
    total = 2 * positive + false_positive + false_negative
    return 2 * positive / total if total else math.nan


def always_positive_f1(labels: Labels) -> float:
    """F1 of a detector that sees the AU in every frame: 2 r / (1 + r)."""
    return f1_score(confusion(np.ones(labels.shape, bool), labels)) if (labels == 1).any() else 0.0


def matthews_correlation(counts: Counts) -> float:
    """Matthews correlation coefficient from `confusion`; NaN where a row or column is empty."""
    tp, fp, fn, tn = (float(value) for value in counts)
    scale = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / scale if scale else math.nan


def area_under_curve(probability: Floats, labels: Labels) -> float:
    """Area under the ROC curve: how often a present frame outranks an absent one, ties half."""
    positive, negative = probability[labels == 1], np.sort(probability[labels == 0])
    if not len(positive) or not len(negative):
        return math.nan
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))


def mean_of_known(values: list[float]) -> float:
    """Mean over the values that are not NaN; NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def f1_interval(
    counts: npt.NDArray[np.int64], *, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval over subjects of the mean F1 over AUs.

    counts: (subjects, aus, 4) int64, `confusion` of each. Subjects are drawn with replacement and
    their frames pooled. Returns (low, high).
    """
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(counts), (draws, len(counts)))
    means = [mean_of_known([f1_score(au) for au in counts[row].sum(0)]) for row in chosen]
    tail = (1 - level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return float(low), float(high)
