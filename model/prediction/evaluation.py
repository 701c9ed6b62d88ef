"""How good a run is on subjects that its networks never saw: a table, and results.json.

The measures (F1, AUC, Matthews correlation, intervals over subjects) are on frames with known
labels. Everywhere labels are (n,) int8 with 1 present, 0 absent, -1 unknown (left out), and a
measure that its frames do not define is NaN.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...whole_files import write_whole
from ..training.run_folder import changed_shards
from .left_out import (
    ABSENT,
    SKIP,
    left_out_counts,
    left_out_text,
    share_text,
    with_left_out,
)
from .predict import no_run, predict
from .predictions import PREDICTIONS_FILE, Predictions, load_predictions

logger = logging.getLogger(__name__)

RESULTS_FILE = "results.json"
# An AU is present where its probability is above this (§3.5).
THRESHOLD = 0.5

Labels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """What a run is worth.

    Attributes
    ----------
    results : dict
        Plain data, as in results.json.
    table : str
        The same for people.
    """

    results: dict[str, Any]
    table: str


def evaluate(
    run: Path, work: Path | None = None, *, device: str = "cpu", missing: str = SKIP
) -> Evaluation:
    """Measure a run; results.json is written where it measures the run's own test frames.

    Where its shards are others by now than those that it was measured on, a warning says so.

    Parameters
    ----------
    run : Path
        Folder of a training.
    work : Path, optional
        Predict the frames of this folder instead, as `predict` does.
    device : str
        "auto", "cpu" or "cuda", to predict on.
    missing : str
        As `measure` takes it.

    Returns
    -------
    Evaluation
        The measures.

    Raises
    ------
    DataError
        Where no fold is trained or nothing is labelled.
    WeightsError, ShardError
        For files.
    OutputError
        Where the results cannot be written.
    """
    if work is not None:
        results = measure(predict(run, work, labelled=True, device=device), missing=missing)
        return Evaluation(results, results_table(results))
    results = measure(kept_predictions(Path(run)), missing=missing)
    changed = changed_shards(Path(run))
    if changed:
        logger.warning(changed)
    write_whole(Path(run) / RESULTS_FILE, json.dumps(results, indent=1).encode())
    return Evaluation(results, results_table(results))


def kept_predictions(run: Path) -> dict[str, Predictions]:
    """Read the predictions that a folder keeps.

    Parameters
    ----------
    run : Path
        A training's folder, with those of its own test frames.

    Returns
    -------
    dict of str to Predictions
        By fold.

    Raises
    ------
    DataError
        Where there are none, or one is damaged.
    """
    files = sorted(run.glob(f"fold*/{PREDICTIONS_FILE}"))
    if not files:
        raise no_run(Path(run))
    names = [file.parent.name.removeprefix("fold") for file in files]
    return {name: load_predictions(file) for name, file in zip(names, files, strict=True)}


def measure(predictions: dict[str, Predictions], *, missing: str = SKIP) -> dict[str, Any]:
    """Measure predictions.

    F1 is on frames with known labels, pooled over the folds for each AU, then averaged over the
    AUs; `f1_mean_over_folds` averages each fold's F1 instead. `f1_interval` is the 95 % bootstrap
    interval of the mean F1 over subjects.

    Parameters
    ----------
    predictions : dict of str to Predictions
        By fold.
    missing : str
        What becomes of labelled frames without a usable face: SKIP leaves them out, ABSENT scores
        them as predicted absent, at probability 0. `f1_by_missing` has F1 of both.

    Returns
    -------
    dict
        Plain data; None stands where the frames define no value.

    Raises
    ------
    DataError
        Where no label is known, or the frames to be scored as absent are not.
    """
    left_out = left_out_counts(predictions)
    f1_by_missing: dict[str, Any] = {SKIP: _pooled_f1(predictions), ABSENT: None}
    if left_out is not None or missing == ABSENT:
        whole = {name: with_left_out(fold, name) for name, fold in predictions.items()}
        f1_by_missing[ABSENT] = _pooled_f1(whole)
        predictions = whole if missing == ABSENT else predictions
    each = list(predictions.values())
    aus = [str(name) for name in each[0].au_names]
    labels = np.concatenate([fold.labels for fold in each])
    probability = np.concatenate([fold.probability for fold in each])
    if not (labels >= 0).any():
        raise DataError("no label is known for any predicted frame; nothing can be measured")
    names, counts = _subject_counts(each)
    pooled = [f1_score(au) for au in counts.sum(0)]
    by_fold = {name: _fold_f1(fold) for name, fold in predictions.items()}
    over_folds = [mean_of_known(list(column)) for column in zip(*by_fold.values(), strict=True)]
    columns = range(len(aus))
    return {
        "aus": aus,
        "threshold": THRESHOLD,
        "frames": len(labels),
        "known": {name: int((labels[:, i] >= 0).sum()) for i, name in enumerate(aus)},
        "present": {name: int((labels[:, i] == 1).sum()) for i, name in enumerate(aus)},
        "missing": missing,
        "left_out": left_out,
        "f1": _by_au(aus, pooled),
        "f1_by_missing": f1_by_missing,
        "f1_interval": [_plain(value) for value in f1_interval(counts)],
        "f1_mean_over_folds": _by_au(aus, over_folds),
        "always_positive_f1": _by_au(aus, [always_positive_f1(labels[:, i]) for i in columns]),
        "auc": _by_au(aus, [area_under_curve(probability[:, i], labels[:, i]) for i in columns]),
        "mcc": _by_au(aus, [matthews_correlation(au) for au in counts.sum(0)]),
        "folds": {
            name: {"frames": len(predictions[name].labels), "f1": _by_au(aus, by_fold[name])}
            for name in predictions
        },
        "subjects": {
            name: _by_au(aus, [f1_score(au) for au in one])
            for name, one in zip(names, counts, strict=True)
        },
    }


def _pooled_f1(predictions: dict[str, Predictions]) -> dict[str, float | None]:
    each = list(predictions.values())
    counts = np.sum([_counts(fold.probability, fold.labels) for fold in each], axis=0)
    return _by_au([str(name) for name in each[0].au_names], [f1_score(au) for au in counts])


def _subject_counts(folds: list[Predictions]) -> tuple[list[str], Counts]:
    """Names of the subjects, sorted, and `confusion` of each: (subjects, aus, 4)."""
    labels = np.concatenate([fold.labels for fold in folds])
    probability = np.concatenate([fold.probability for fold in folds])
    subject = np.concatenate([fold.subject for fold in folds])
    names = sorted({str(name) for name in subject})
    counts = [_counts(probability[subject == name], labels[subject == name]) for name in names]
    return names, np.stack(counts)


def results_table(results: dict[str, Any]) -> str:
    """Lay `results` out as the F1 table in percent, with a line for each AU and the mean."""
    rows = [("", "F1", "F1 over folds", "always positive", "AUC", "MCC", "present", "left out")]
    left_out = results["left_out"]
    columns = ("f1", "f1_mean_over_folds", "always_positive_f1", "auc", "mcc")
    for name in (*results["aus"], "mean"):
        values = [_percent(results[column][name]) for column in columns]
        known, present = results["known"].get(name, 0), results["present"].get(name, 0)
        share = _percent(present / known) if known else ""
        lost = share_text(left_out["aus"][name]) if left_out and name in left_out["aus"] else ""
        rows.append((name, *values, share, lost))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    low, high = (_percent(value) for value in results["f1_interval"])
    lines.append(
        f"{results['frames']} frames of {len(results['subjects'])} unseen subjects, in percent; "
        f"95 % interval of the mean F1 over subjects: {low} to {high}"
    )
    lines.append(missing_text(results))
    return "\n".join(lines)


def missing_text(results: dict[str, Any]) -> str:
    """Say how many labelled frames have no usable face, and the mean F1 with and without them."""
    said = left_out_text(results["left_out"])
    means = {
        name: _percent(f1["mean"])
        for name, f1 in results["f1_by_missing"].items()
        if f1 is not None
    }
    if ABSENT not in means:
        return said
    here = "as absent" if results["missing"] == ABSENT else "left out"
    return (
        f"{said}; mean F1 {means[SKIP]} without them, {means[ABSENT]} with them as absent; above "
        f"they are {here}"
    )


def _counts(
    probability: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """`confusion` of each AU: (a, 4)."""
    present = probability > THRESHOLD
    return np.stack([confusion(present[:, i], labels[:, i]) for i in range(labels.shape[1])])


def _fold_f1(fold: Predictions) -> list[float]:
    return [f1_score(au) for au in _counts(fold.probability, fold.labels)]


def _by_au(aus: list[str], values: list[float]) -> dict[str, float | None]:
    named = {name: _plain(value) for name, value in zip(aus, values, strict=True)}
    return {**named, "mean": _plain(mean_of_known(values))}


def _plain(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if math.isnan(value) else float(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def confusion(present: npt.NDArray[np.bool_], labels: Labels) -> Counts:
    """Count the four cases of one AU.

    Parameters
    ----------
    present : (n,) bool
        What is predicted.
    labels : (n,) int8
        What is true.

    Returns
    -------
    (4,) int64
        True positives, false positives, false negatives, true negatives.
    """
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
    """Compute F1 from `counts` of `confusion`; NaN where the AU neither occurs nor is predicted."""
    positive, false_positive, false_negative, _ = (int(value) for value in counts)
    total = 2 * positive + false_positive + false_negative
    return 2 * positive / total if total else math.nan


def always_positive_f1(labels: Labels) -> float:
    """Compute the F1 of always saying "present", 2 r / (1 + r), from the true `labels`."""
    return f1_score(confusion(np.ones(labels.shape, bool), labels)) if (labels == 1).any() else 0.0


def matthews_correlation(counts: Counts) -> float:
    """Compute Matthews correlation from `counts` of `confusion`; NaN where a class is empty."""
    tp, fp, fn, tn = (float(value) for value in counts)
    scale = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / scale if scale else math.nan


def area_under_curve(probability: Floats, labels: Labels) -> float:
    """Compute the area under the ROC curve: how often a present frame outranks an absent one.

    Parameters
    ----------
    probability : (n,) float
        Of the AU.
    labels : (n,) int8
        What is true.

    Returns
    -------
    float
        From 0 to 1, ties count half; NaN where a class is empty.
    """
    positive, negative = probability[labels == 1], np.sort(probability[labels == 0])
    if not len(positive) or not len(negative):
        return math.nan
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))


def mean_of_known(values: list[float]) -> float:
    """Average the `values` that are not NaN; NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def f1_interval(
    counts: npt.NDArray[np.int64], *, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap the mean F1 over AUs: subjects are drawn with replacement, their frames pooled.

    Parameters
    ----------
    counts : (subjects, aus, 4) int64
        `confusion` of each.
    seed : int
        Of the draws.
    draws : int
        How often the subjects are drawn.
    level : float
        Share of the draws within the interval.

    Returns
    -------
    (float, float)
        Low and high end.
    """
    means = _drawn_f1(counts, seed, draws)
    return _middle(means, level)


def f1_difference(
    one: Path, other: Path, *, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float | None, tuple[float | None, float | None]]:
    """Compare two runs that were tested on the same subjects, by their mean F1 over AUs.

    Parameters
    ----------
    one, other : Path
        Folders of trainings.
    seed : int
        Of the draws.
    draws : int
        How often the subjects are drawn, the same ones for both runs.
    level : float
        Share of the draws within the interval.

    Returns
    -------
    float, (float, float)
        F1 of one less that of the other, and the bootstrap interval of it; None where the frames
        define no value.

    Raises
    ------
    DataError
        Where no fold is trained, or the runs were tested on different subjects or AUs.
    """
    tested = [list(kept_predictions(Path(run)).values()) for run in (one, other)]
    (names, counts), (other_names, other_counts) = map(_subject_counts, tested)
    if names != other_names or tuple(tested[0][0].au_names) != tuple(tested[1][0].au_names):
        raise DataError(
            f"{one} and {other}: tested on different subjects or Action Units; train both runs on "
            "the same shards and folds"
        )
    whole, other_whole = (_mean_f1(each.sum(0)) for each in (counts, other_counts))
    low, high = _middle(
        _drawn_f1(counts, seed, draws) - _drawn_f1(other_counts, seed, draws), level
    )
    return _plain(whole - other_whole), (_plain(low), _plain(high))


def _mean_f1(counts: Counts) -> float:
    return mean_of_known([f1_score(au) for au in counts])


def _drawn_f1(counts: Counts, seed: int, draws: int) -> Floats:
    """Mean F1 of each draw of as many subjects, with replacement: (draws,)."""
    chosen = np.random.default_rng(seed).integers(0, len(counts), (draws, len(counts)))
    return np.array([_mean_f1(counts[row].sum(0)) for row in chosen])


def _middle(values: Floats, level: float) -> tuple[float, float]:
    """The two ends between which that share of the values lies."""
    tail = (1 - level) / 2
    if np.isnan(values).all():
        return math.nan, math.nan
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)
