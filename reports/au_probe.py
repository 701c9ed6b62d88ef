"""What expression coefficients alone tell of Action Units: a linear probe on unseen subjects."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from ..model.metrics import confusion, f1_score, mean_of_known

Floats = npt.NDArray[np.float64]

RIDGE = 1e-3  # on the squared weights of standardised features
SMALLEST_DEVIATION = 1e-3


def probe_f1(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
    folds: Iterable[tuple[str, ...]],
) -> npt.NDArray[np.float64]:
    """F1 of logistic regression, each AU by itself, frames of the folds' test subjects pooled.

    features: (n, e), finite. labels: (n, a) int8, 1 present, 0 absent, -1 unknown. subject: (n,).
    folds: test subjects of each fold; the probe learns from all others. Both classes weigh the
    same in training. Returns (a,) float64, NaN where an AU neither occurs nor is predicted.
    """
    features = np.asarray(features, np.float64)
    present = np.zeros(labels.shape, bool)
    tested = np.zeros(len(labels), bool)
    for fold in folds:
        test = np.isin(subject, fold)
        tested |= test
        mean = features[~test].mean(0)
        scale = np.maximum(features[~test].std(0), SMALLEST_DEVIATION)
        scaled = (features - mean) / scale
        for column in range(labels.shape[1]):
            known = ~test & (labels[:, column] >= 0)
            weights = _logistic(scaled[known], labels[known, column] == 1)
            present[test, column] = scaled[test] @ weights[:-1] + weights[-1] > 0.0
    return np.array(
        [
            f1_score(confusion(present[tested, column], labels[tested, column]))
            for column in range(labels.shape[1])
        ]
    )


def mean_f1(values: npt.NDArray[np.float64]) -> float:
    """Mean over the AUs that are defined; NaN where none is."""
    return mean_of_known([float(value) for value in values])


def _logistic(features: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Weights (e + 1,), the bias last, of a balanced logistic regression."""
    count, width = features.shape
    share = present.mean() if count else 0.0
    if not 0.0 < share < 1.0:
        return np.append(np.zeros(width), 1.0 if share else -1.0)
    sign = np.where(present, 1.0, -1.0)
    weight = np.where(present, 0.5 / share, 0.5 / (1.0 - share)) / count

    def loss(w: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ w[:-1] + w[-1])
        slope = -weight * sign * expit(-margin)
        value = weight @ np.logaddexp(0.0, -margin) + 0.5 * RIDGE * (w[:-1] @ w[:-1])
        return float(value), np.append(features.T @ slope + RIDGE * w[:-1], slope.sum())

    found = minimize(loss, np.zeros(width + 1), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)
