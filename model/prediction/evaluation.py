"""How good a run is on subjects that its networks never saw: a table, and results.json."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...whole_files import write_whole
from ..metrics import (
    always_positive_f1,
    area_under_curve,
    confusion,
    f1_interval,
    f1_score,
    matthews_correlation,
    mean_of_known,
)
from ..predict import predict
from .predictions import PREDICTIONS_FILE, Predictions, load_predictions

RESULTS_FILE = "results.json"
# An AU is present where its probability is above this (§3.5).
THRESHOLD = 0.5


@dataclass(frozen=True)
class Evaluation:
    """results: plain data, as in results.json. table: the same for people."""

    results: dict[str, Any]
    table: str


def evaluate(run: Path, work: Path | None = None, *, device: str = "cpu") -> Evaluation:
    """Measure a run; results.json is written where it measures the run's own test frames.

    run: folder of a training. work: predict the frames of this folder instead, as `predict` does.

    Raises DataError where no fold is trained or nothing is labelled, WeightsError and ShardError
    for files, OutputError where the results cannot be written.
    """
    if work is not None:
        results = measure(predict(run, work, labelled=True, device=device))
        return Evaluation(results, results_table(results))
    files = sorted(Path(run).glob(f"fold*/{PREDICTIONS_FILE}"))
    if not files:
        raise DataError(f"{run}: no fold is trained; run `glee train` with this folder first")
    names = [file.parent.name.removeprefix("fold") for file in files]
    results = measure(
        {name: load_predictions(file) for name, file in zip(names, files, strict=True)}
    )
    write_whole(Path(run) / RESULTS_FILE, json.dumps(results, indent=1).encode())
    return Evaluation(results, results_table(results))


def measure(parts: dict[str, Predictions]) -> dict[str, Any]:
    """Measures of predictions, by fold.

    F1 is on frames with known labels, pooled over the folds for each AU, then averaged over the
    AUs; `f1_mean_over_folds` averages each fold's F1 instead. None stands where the frames define
    no value. `f1_interval`: 95 % bootstrap interval of the mean F1 over subjects.

    Raises DataError where no label is known.
    """
    each = list(parts.values())
    aus = [str(name) for name in each[0].au_names]
    labels = np.concatenate([part.labels for part in each])
    probability = np.concatenate([part.probability for part in each])
    subject = np.concatenate([part.subject for part in each])
    if not (labels >= 0).any():
        raise DataError("no label is known for any predicted frame; nothing can be measured")
    names = sorted({str(name) for name in subject})
    counts = np.stack(
        [_counts(probability[subject == name], labels[subject == name]) for name in names]
    )
    pooled = [f1_score(au) for au in counts.sum(0)]
    by_fold = {name: _fold(part) for name, part in parts.items()}
    over_folds = [mean_of_known(list(column)) for column in zip(*by_fold.values(), strict=True)]
    columns = range(len(aus))
    return {
        "aus": aus,
        "threshold": THRESHOLD,
        "frames": len(labels),
        "known": {name: int((labels[:, i] >= 0).sum()) for i, name in enumerate(aus)},
        "present": {name: int((labels[:, i] == 1).sum()) for i, name in enumerate(aus)},
        "f1": _by_au(aus, pooled),
        "f1_interval": [_plain(value) for value in f1_interval(counts)],
        "f1_mean_over_folds": _by_au(aus, over_folds),
        "always_positive_f1": _by_au(aus, [always_positive_f1(labels[:, i]) for i in columns]),
        "auc": _by_au(aus, [area_under_curve(probability[:, i], labels[:, i]) for i in columns]),
        "mcc": _by_au(aus, [matthews_correlation(au) for au in counts.sum(0)]),
        "folds": {
            name: {"frames": len(parts[name].labels), "f1": _by_au(aus, by_fold[name])}
            for name in parts
        },
        "subjects": {
            name: _by_au(aus, [f1_score(au) for au in one])
            for name, one in zip(names, counts, strict=True)
        },
    }


def results_table(results: dict[str, Any]) -> str:
    """The F1 table in percent, with a line for each AU and the mean."""
    rows = [("", "F1", "F1 over folds", "always positive", "AUC", "MCC", "present")]
    columns = ("f1", "f1_mean_over_folds", "always_positive_f1", "auc", "mcc")
    for name in (*results["aus"], "mean"):
        values = [_percent(results[column][name]) for column in columns]
        known, present = results["known"].get(name, 0), results["present"].get(name, 0)
        rows.append((name, *values, _percent(present / known) if known else ""))
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
    return "\n".join(lines)


def _counts(
    probability: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """`confusion` of each AU: (a, 4)."""
    present = probability > THRESHOLD
    return np.stack([confusion(present[:, i], labels[:, i]) for i in range(labels.shape[1])])


def _fold(part: Predictions) -> list[float]:
    return [f1_score(au) for au in _counts(part.probability, part.labels)]


def _by_au(aus: list[str], values: list[float]) -> dict[str, float | None]:
    named = {name: _plain(value) for name, value in zip(aus, values, strict=True)}
    return {**named, "mean": _plain(mean_of_known(values))}


def _plain(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if math.isnan(value) else float(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
