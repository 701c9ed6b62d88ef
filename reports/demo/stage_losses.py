"""Where accuracy is lost: each stage given the truth of the one before, and given what it gets.

A linear probe on unseen subjects says what expression coefficients alone tell of Action Units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from ...model.data.folds import choose_split
from ...model.prediction.evaluation import confusion, f1_score, mean_of_known
from .comparison import (
    TrueLandmarkFit,
    TruthComparison,
    correlations,
    landmark_errors,
    moved,
    rotation_errors,
)
from .ingredients import ALWAYS_POSITIVE, F_EXP_ALONE, TRUE_F_EXP, WHOLE

Floats = npt.NDArray[np.float64]

RIDGE = 1e-3  # on the squared weights of standardised features
SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True)
class Loss:
    """One line of the table.

    Attributes
    ----------
    stage : str
        Stage that is measured.
    given : str
        Its input, in words.
    measure : str
        What is measured.
    value : float or None
        None where nothing defines it.
    unit : str
        "% of IOD" is percent of the inter-ocular distance.
    better : str
        "higher" or "lower".
    """

    stage: str
    given: str
    measure: str
    value: float | None
    unit: str
    better: str


def stage_losses(
    comparison: TruthComparison, exact: TrueLandmarkFit, f1_of: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure every stage on the truth of the one before and on its real input.

    Parameters
    ----------
    comparison : TruthComparison
        The demo's frames.
    exact : TrueLandmarkFit
        Fits from true landmarks.
    f1_of : mapping
        Of the trained networks, as `measure_ingredients` gives it.

    Returns
    -------
    dict
        Plain data: `table` (list of Loss as dictionaries) and the figures behind it:
        `landmark_nme_by_region`, `f_exp_r_true_landmarks` (by blendshape), `probe_f1` (by input and
        AU).
    """
    landmarks = landmark_errors(_detected_landmarks(comparison), comparison.true_landmarks)
    probes = _probes(comparison, exact)
    r_exact = correlations(exact.f_exp, comparison.true_f_exp)
    rows = [
        *_landmark_rows(landmarks),
        *_fit_rows(comparison, exact, r_exact),
        *_probe_rows(comparison, probes),
        *_network_rows(f1_of),
    ]
    regions = {k: plain(v) for k, v in landmarks.items() if k not in ("inner51", "all68")}
    return {
        "table": [asdict(row) for row in rows],
        "landmark_nme_by_region": regions,
        "f_exp_r_true_landmarks": _named(comparison.expression_names, r_exact),
        "probe_f1": {
            name: {**_named(comparison.au_names, values), "mean": plain(mean_f1(values))}
            for name, values in probes.items()
        },
    }


def plain(value: float) -> float | None:
    """Turn `value` into a number for JSON, which knows no NaN."""
    return float(value) if math.isfinite(value) else None


def _named(names: tuple[str, ...], values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    return {name: plain(value) for name, value in zip(names, values, strict=True)}


def _detected_landmarks(comparison: TruthComparison) -> npt.NDArray[np.float32]:
    """Detected landmarks, NaN where a frame is not valid."""
    return np.where(comparison.valid[:, None, None], comparison.landmarks, np.float32(np.nan))


def _landmark_rows(errors: dict[str, float]) -> list[Loss]:
    given = "rendered frames"
    return [
        Loss("landmarks", given, f"error, {what}", plain(100 * errors[name]), "% of IOD", "lower")
        for name, what in (("inner51", "inner 51 points"), ("all68", "all 68 points"))
    ]


def _fit_rows(
    comparison: TruthComparison, exact: TrueLandmarkFit, r_exact: npt.NDArray[np.float64]
) -> list[Loss]:
    wanted = moved(comparison.true_f_exp)
    r_detected = correlations(fitted_f_exp(comparison), comparison.true_f_exp)
    rows = []
    given = (
        ("true landmarks", r_exact, exact.pose),
        ("detected landmarks", r_detected, comparison.pose),
    )
    for name, r, pose in given:
        angle = rotation_errors(pose, comparison.true_pose)
        median_r, median_angle = plain(_median(r[wanted])), plain(_median(angle))
        rows.append(Loss("3D fit", name, "f_exp, median r", median_r, "r", "higher"))
        rows.append(Loss("3D fit", name, "pose, median error", median_angle, "degrees", "lower"))
    share = "% of IOD"
    distance = plain(100 * _median(exact.reprojection))
    residual = plain(100 * _median(exact.residual))
    at = "true landmarks"
    rows.append(Loss("3D fit", at, "landmarks reprojected, median", distance, share, "lower"))
    rows.append(Loss("3D fit", at, "residual of Eq. 3, median", residual, share, "lower"))
    return rows


def _median(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan


def fitted_f_exp(comparison: TruthComparison) -> npt.NDArray[np.float32]:
    """Give the fitted f_exp of `comparison`, (n, 51) float32, NaN where a frame has no fit."""
    return np.where(comparison.fitted[:, None], comparison.f_exp, np.float32(np.nan))


def _probes(
    comparison: TruthComparison, exact: TrueLandmarkFit
) -> dict[str, npt.NDArray[np.float64]]:
    """F1 (a,) of the linear probe on each kind of f_exp, on frames that all kinds have."""
    kinds = {
        "true_f_exp": comparison.true_f_exp,
        "f_exp_of_true_landmarks": exact.f_exp,
        "f_exp_of_detected_landmarks": fitted_f_exp(comparison),
    }
    known = np.all([np.isfinite(values).all(1) for values in kinds.values()], axis=0)
    subjects = comparison.subject[known]
    folds = tuple(choose_split(map(str, subjects), comparison.dataset).values())
    return {
        name: probe_f1(values[known], comparison.labels[known], subjects, folds)
        for name, values in kinds.items()
    }


def _probe_rows(
    comparison: TruthComparison, probes: dict[str, npt.NDArray[np.float64]]
) -> list[Loss]:
    given = {
        "true_f_exp": "true f_exp",
        "f_exp_of_true_landmarks": "f_exp fitted to true landmarks",
        "f_exp_of_detected_landmarks": "f_exp fitted to detected landmarks",
    }
    return [
        Loss(
            "Action Units",
            given[name],
            "linear probe, mean F1",
            plain(100 * mean_f1(values)),
            "%",
            "higher",
        )
        for name, values in probes.items()
    ]


def _network_rows(f1_of: Mapping[str, Any]) -> list[Loss]:
    measure = "GLEE-Net, mean F1"
    rows = (
        ("true f_exp", measure, TRUE_F_EXP),
        ("f_exp fitted to detected landmarks", measure, F_EXP_ALONE),
        ("crops and f_exp fitted to detected landmarks", measure, WHOLE),
        ("nothing", "always positive, mean F1", ALWAYS_POSITIVE),
    )
    return [
        Loss("Action Units", given, what, _hundredfold(f1_of[name]["f1"]), "%", "higher")
        for given, what, name in rows
    ]


def _hundredfold(f1: float | None) -> float | None:
    return None if f1 is None else 100 * f1


def probe_f1(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
    folds: Iterable[tuple[str, ...]],
) -> npt.NDArray[np.float64]:
    """Measure logistic regression on unseen subjects, each AU by itself.

    Both classes weigh the same in training; the frames of the folds' test subjects are pooled.

    Parameters
    ----------
    features : (n, e) float
        Finite.
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    subject : (n,) str
        Of each frame.
    folds : iterable of tuple of str
        Test subjects of each fold; the probe learns from all others.

    Returns
    -------
    (a,) float64
        F1 of each AU, NaN where it neither occurs nor is predicted.
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
    """Average the F1 `values` (a,) of the AUs that are defined; NaN where none is."""
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
