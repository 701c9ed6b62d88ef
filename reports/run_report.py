"""The report of a training run: F1 with intervals, confusion, people, training curves."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import DataError
from ..model.prediction.evaluation import THRESHOLD, confusion, f1_interval, measure
from ..model.prediction.left_out import ABSENT, share_text
from ..model.prediction.predictions import PREDICTIONS_FILE, Predictions, load_predictions
from ..model.training.run_folder import changed_shards
from . import charts
from .charts import Series
from .report import Chart, KeyFigure, Report, Section, Table

NBSP = "\u00a0"
MOST_POINTS = 400  # of a training curve


def run_report(run: Path) -> Report:
    """Report how a run trained and how good it is on people whom its networks never saw.

    Parameters
    ----------
    run : Path
        Folder of a training.

    Returns
    -------
    Report
        To write.

    Raises
    ------
    DataError
        Where no fold is trained.
    """
    files = sorted(Path(run).glob(f"fold*/{PREDICTIONS_FILE}"))
    if not files:
        raise DataError(f"{run}: no fold is trained; run `glee train` with this folder first")
    predictions = {file.parent.name.removeprefix("fold"): load_predictions(file) for file in files}
    results = measure(predictions)
    counts = _counts(predictions)
    changed = changed_shards(Path(run))
    low, high = f1_interval(counts)
    return Report(
        title=f"{run.name}: Action Units on unseen people",
        lead=f"{results['frames']} frames of {len(results['subjects'])} subjects, each predicted "
        f"by a network that never saw the person; {len(predictions)} folds. An AU is present where "
        f"its probability is above {THRESHOLD}." + (f" Beware: {changed}." if changed else ""),
        figures=[
            KeyFigure(
                "Mean F1",
                _percent(results["f1"]["mean"]),
                f"95 % interval over subjects {100 * low:.0f} to {100 * high:.0f}{NBSP}%",
            ),
            KeyFigure(
                "Always positive",
                _percent(results["always_positive_f1"]["mean"]),
                "what chance gives",
            ),
            *_left_out_figure(results),
            KeyFigure("Mean AUC", _percent(results["auc"]["mean"]), "no threshold"),
        ],
        sections=[
            _scores(results, counts),
            _confusion(results, counts),
            *_left_out(results),
            _people(results),
            *_curves(run),
        ],
        foot=f"Made by glee {__version__} with `glee report`; nothing in this file is loaded "
        "from elsewhere.",
    )


def _left_out_figure(results: dict[str, Any]) -> list[KeyFigure]:
    left_out, absent = results["left_out"], results["f1_by_missing"][ABSENT]
    if left_out is None or absent is None:
        return []
    return [
        KeyFigure(
            "Labelled frames left out",
            share_text(left_out["frames"]),
            f"no usable face; with them as absent, mean F1 is {_percent(absent['mean'])}",
        )
    ]


def _left_out(results: dict[str, Any]) -> list[Section]:
    """Frames left out, a fold and an AU."""
    counts = results["left_out"]
    if counts is None:
        return []
    folds = {**counts["folds"], "all": counts} if len(counts["folds"]) > 1 else counts["folds"]
    rows = [
        ["frames", *(share_text(fold["frames"]) for fold in folds.values())],
        *(
            [name, *(share_text(fold["aus"][name]) for fold in folds.values())]
            for name in results["aus"]
        ),
    ]
    absent = results["f1_by_missing"][ABSENT]
    return [
        Section(
            "left-out",
            "Frames that F1 leaves out",
            "Frames that people labelled and that have no usable face. With an Action Unit counted "
            f"as predicted absent in them, mean F1 is {_percent(absent['mean'])}; "
            "glee evaluate --missing absent gives every measure so.",
            [Table("Labelled frames left out.", ("", *folds), rows, range(1, len(folds) + 1))],
        )
    ]


def _percent(value: float | None) -> str:
    return "not defined" if value is None or not np.isfinite(value) else f"{100 * value:.1f}{NBSP}%"


def _hundred(value: float | None) -> float:
    return float("nan") if value is None else 100 * float(value)


def _counts(predictions: dict[str, Predictions]) -> npt.NDArray[np.int64]:
    """`confusion` of each person and AU, (subjects, aus, 4)."""
    each = list(predictions.values())
    labels = np.concatenate([fold.labels for fold in each])
    present = np.concatenate([fold.probability for fold in each]) > THRESHOLD
    subject = np.concatenate([fold.subject for fold in each])
    return np.stack(
        [
            np.stack([confusion(present[mine, i], labels[mine, i]) for i in range(labels.shape[1])])
            for mine in (subject == name for name in sorted(set(subject.tolist())))
        ]
    )


def _scores(results: dict, counts: npt.NDArray[np.int64]) -> Section:  # type: ignore[type-arg]
    names = [*results["aus"], "mean"]
    series = [
        Series(
            "always positive",
            [_hundred(results["always_positive_f1"][name]) for name in names],
            "#555555",
            "ring",
        ),
        Series("this run", [_hundred(results["f1"][name]) for name in names]),
    ]
    chart = charts.dot_chart(names, series, title="F1 of each AU", upper=100.0, unit=f"{NBSP}%")
    rows = []
    for i, name in enumerate(names):
        low, high = f1_interval(counts if name == "mean" else counts[:, [i]])
        between = f"{100 * low:.0f} to {100 * high:.0f}" if np.isfinite(low) else "not defined"
        known = results["known"].get(name)
        share = _percent(results["present"][name] / known) if known else ""
        values = [
            _percent(results[key][name]) for key in ("f1", "f1_mean_over_folds", "auc", "mcc")
        ]
        rows.append([name, values[0], between, *values[1:], share])
    header = ("Action Unit", "F1", "95 % interval", "mean over folds", "AUC", "MCC", "present")
    return Section(
        "f1",
        "F1 of each Action Unit",
        "Frames pooled over the folds' test subjects. Intervals come from drawing subjects, not "
        "frames: frames of one person are not independent.",
        [
            Chart([chart], 'F1 beside that of always saying "present".', charts.legend(series)),
            Table("F1 and what belongs to it.", header, rows, range(1, 7), [len(rows) - 1]),
        ],
    )


def _confusion(results: dict, counts: npt.NDArray[np.int64]) -> Section:  # type: ignore[type-arg]
    rows = []
    for name, (hit, false, missed, right) in zip(results["aus"], counts.sum(0), strict=True):
        precision = _percent(hit / (hit + false)) if hit + false else "not defined"
        recall = _percent(hit / (hit + missed)) if hit + missed else "not defined"
        rows.append([name, str(hit), str(missed), str(false), str(right), precision, recall])
    header = (
        "Action Unit",
        "found",
        "missed",
        "false alarms",
        "rightly absent",
        "precision",
        "recall",
    )
    return Section(
        "confusion",
        "Confusion of each Action Unit",
        "Frames whose label is known. Many false alarms and few misses mean a threshold that is "
        "too low for this AU.",
        [Table("Frames by label and prediction.", header, rows, range(1, 7))],
    )


def _people(results: dict) -> Section:  # type: ignore[type-arg]
    people = sorted(
        results["subjects"], key=lambda name: _hundred(results["subjects"][name]["mean"])
    )
    chart = charts.bar_chart(
        people,
        [_hundred(results["subjects"][name]["mean"]) for name in people],
        title="Mean F1 of each person",
        unit=f"{NBSP}%",
    )
    return Section(
        "people",
        "F1 of each person",
        "The spread between people is what the interval comes from; look at the frames of those at "
        "the top of this list first.",
        [Chart([chart], "Mean over the AUs that occur in the person's frames, the lowest first.")],
    )


def _curves(run: Path) -> list[Section]:
    drawn = []
    for file in sorted(Path(run).glob("fold*/log.csv")):
        with file.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
        if len(rows) < 2:
            continue
        step = max(len(rows) // MOST_POINTS, 1)
        loss = [float(row["loss"]) for row in rows][::step]
        drawn.append(
            charts.line_chart(
                [float(row["step"]) for row in rows][::step],
                [Series("loss", loss)],
                title=f"Loss of {file.parent.name} by step",
                heading=file.parent.name,
                x_label="step",
                upper=max(loss),
            )
        )
    if not drawn:
        return []
    return [
        Section(
            "training",
            "Training",
            "The loss of each step (Eq. 5, initial and final prediction together). It should fall "
            "and level off; a rise means a learning rate that is too high.",
            [Chart(drawn, "Loss by step, one chart a fold.")],
        )
    ]
