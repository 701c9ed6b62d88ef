"""Where accuracy is lost: each stage given the truth of the one before, and given what it gets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...model.data.folds import choose_split
from ..accuracy import correlations, landmark_errors, moved, rotation_errors
from ..au_probe import mean_f1, probe_f1
from ..true_landmark_fit import TrueLandmarkFit
from .comparison import Comparison


@dataclass(frozen=True)
class Loss:
    """One line of the table.

    value: None where nothing defines it. unit: "% of IOD" is percent of the inter-ocular distance.
    better: "higher" or "lower".
    """

    stage: str
    given: str
    measure: str
    value: float | None
    unit: str
    better: str


@dataclass(frozen=True)
class NetworkScores:
    """Mean F1 of the trained network, of always positive, and of one fold with either f_exp."""

    trained: float | None
    always_positive: float | None
    fold: str
    fold_fitted: float | None
    fold_true: float | None


def stage_losses(
    comparison: Comparison, exact: TrueLandmarkFit, network: NetworkScores
) -> dict[str, Any]:
    """Measures of every stage on the truth of the one before and on its real input.

    Returns plain data: `table` (list of Loss as dictionaries) and the figures behind it:
    `landmark_nme_by_region`, `f_exp_r_true_landmarks` (by blendshape), `probe_f1` (by input and
    AU).
    """
    landmarks = landmark_errors(_seen(comparison), comparison.true_landmarks)
    probes = _probes(comparison, exact)
    r_exact = correlations(exact.f_exp, comparison.true_f_exp)
    rows = [
        *_landmark_rows(landmarks),
        *_fit_rows(comparison, exact, r_exact),
        *_probe_rows(comparison, probes),
        *_network_rows(network),
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
    """A number for JSON, which knows no NaN."""
    return float(value) if math.isfinite(value) else None


def _named(names: tuple[str, ...], values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    return {name: plain(value) for name, value in zip(names, values, strict=True)}


def _seen(comparison: Comparison) -> npt.NDArray[np.float32]:
    """Detected landmarks, NaN where a frame is not valid."""
    return np.where(comparison.valid[:, None, None], comparison.landmarks, np.float32(np.nan))


def _landmark_rows(errors: dict[str, float]) -> list[Loss]:
    given = "rendered frames"
    return [
        Loss("landmarks", given, f"error, {what}", plain(100 * errors[name]), "% of IOD", "lower")
        for name, what in (("inner51", "inner 51 points"), ("all68", "all 68 points"))
    ]


def _fit_rows(
    comparison: Comparison, exact: TrueLandmarkFit, r_exact: npt.NDArray[np.float64]
) -> list[Loss]:
    wanted = moved(comparison.true_f_exp)
    r_seen = correlations(fitted_f_exp(comparison), comparison.true_f_exp)
    rows = []
    given = (
        ("true landmarks", r_exact, exact.pose),
        ("detected landmarks", r_seen, comparison.pose),
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


def fitted_f_exp(comparison: Comparison) -> npt.NDArray[np.float32]:
    """Fitted coefficients (n, 51), NaN where a frame has no fit."""
    return np.where(comparison.fitted[:, None], comparison.f_exp, np.float32(np.nan))


def _probes(comparison: Comparison, exact: TrueLandmarkFit) -> dict[str, npt.NDArray[np.float64]]:
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


def _probe_rows(comparison: Comparison, probes: dict[str, npt.NDArray[np.float64]]) -> list[Loss]:
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


def _network_rows(network: NetworkScores) -> list[Loss]:
    only = f"GLEE-Net, mean F1 of fold {network.fold} alone"
    rows = (
        ("crops and f_exp fitted to detected landmarks", "GLEE-Net, mean F1", network.trained),
        ("crops and f_exp fitted to detected landmarks", only, network.fold_fitted),
        ("crops and true f_exp", only, network.fold_true),
        ("nothing", "always positive, mean F1", network.always_positive),
    )
    return [
        Loss("Action Units", given, measure, None if f1 is None else 100 * f1, "%", "higher")
        for given, measure, f1 in rows
    ]
