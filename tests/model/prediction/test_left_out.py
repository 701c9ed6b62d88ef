"""Labelled frames without a usable face: counted, and F1 with and without them, by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from glee.cli import run as glee
from glee.errors import DataError
from glee.model.data.au_dataset import load_frames
from glee.model.options import train_options
from glee.model.prediction.evaluation import evaluate, measure, results_table
from glee.model.prediction.left_out import labels_left_out
from glee.model.prediction.predict import predict
from glee.model.prediction.predictions import Predictions, load_predictions, save_predictions
from glee.model.training.training import train
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.reports.report import render_report
from glee.reports.run_report import run_report


def predictions(labels, probability, lost, subject="a"):
    labels, lost = np.array(labels, np.int8), np.array(lost, np.int8).reshape(-1, 2)
    return Predictions(
        au_names=np.array(["AU1", "AU2"]),
        shard=np.array(["x.h5"] * len(labels)),
        row=np.arange(len(labels)),
        subject=np.array([subject] * len(labels)),
        frame_id=np.arange(len(labels)),
        labels=labels,
        probability=np.array(probability, np.float32),
        left_out_subject=np.array([subject] * len(lost)),
        left_out_labels=lost,
    )


# AU1: 2 found, 1 false alarm. AU2: 1 found, 1 missed, 2 unknown.
ONE = predictions([[1, 1], [1, -1]], [[0.9, 0.9], [0.9, 0.9]], [[1, 1], [0, -1], [1, 0]])
TWO = predictions([[0, 1], [0, -1]], [[0.9, 0.1], [0.1, 0.9]], [[1, -1]], subject="b")
FOLDS = {"1": ONE, "2": TWO}


def test_frames_left_out_are_counted_a_fold_and_an_au():
    left_out = measure(FOLDS)["left_out"]
    assert left_out["frames"] == {"left_out": 4, "of": 8}
    assert left_out["aus"] == {"AU1": {"left_out": 4, "of": 8}, "AU2": {"left_out": 2, "of": 4}}
    assert left_out["folds"]["1"]["frames"] == {"left_out": 3, "of": 5}
    assert left_out["folds"]["2"]["aus"]["AU2"] == {"left_out": 0, "of": 1}
    table = results_table(measure(FOLDS))
    assert "4 of 8 labelled frames left out" in table
    assert "fold 1: 3 of 5, fold 2: 1 of 3" in table
    assert [line.split()[-3:] for line in table.splitlines() if "AU2" in line] == [["2", "of", "4"]]


@pytest.mark.parametrize("missing", ["skip", "absent"])
def test_f1_by_both_policies(missing):
    results = measure(FOLDS, missing=missing)
    # AU1: tp 2, fp 1; of 4 left out 3 are present, so missed. AU2: tp 1, fn 1; one more missed.
    expected = {
        "skip": {"AU1": 4 / 5, "AU2": 2 / 3, "mean": (4 / 5 + 2 / 3) / 2},
        "absent": {"AU1": 4 / 8, "AU2": 2 / 4, "mean": 1 / 2},
    }
    for name, f1 in expected.items():
        assert results["f1_by_missing"][name] == pytest.approx(f1)
    assert results["f1"] == pytest.approx(expected[missing])
    assert results["missing"] == missing
    assert results["frames"] == {"skip": 4, "absent": 8}[missing]
    assert results["known"]["AU2"] == {"skip": 2, "absent": 4}[missing]
    # Fold 1, AU1: 2 found; with those left out 2 missed.
    assert (
        results["folds"]["1"]["f1"]["AU1"] == {"skip": 1.0, "absent": pytest.approx(2 / 3)}[missing]
    )
    assert results["left_out"]["frames"] == {"left_out": 4, "of": 8}


def test_predictions_of_before_do_not_say(tmp_path):
    old = replace(ONE, left_out_subject=None, left_out_labels=None)
    save_predictions(tmp_path / "predictions.npz", old)
    again = load_predictions(tmp_path / "predictions.npz")
    assert again.left_out_labels is None
    results = measure({"1": again})
    assert results["left_out"] is None
    assert results["f1_by_missing"]["absent"] is None
    assert "not known" in results_table(results)
    with pytest.raises(DataError, match="fold 1: its predictions do not say"):
        measure({"1": again}, missing="absent")


def lost_labels(work, subjects):
    """The truth: intensities of the frames that are not valid, straight from the shards."""
    rows = []
    for path in list_shards(work):
        shard = read_shard(path)
        if shard.header.subject in subjects:
            rows.append(shard.labels[~shard.frames.valid] >= 2)
    return np.concatenate(rows)


def test_a_training_keeps_them(work, tmp_path, tiny):
    """One frame of each of the six people has no face: 2 of 48 in each fold."""
    run = tmp_path / "run"
    quick = {"ablation": "no-gb-lb", "batch": 16, "epochs": 1, "person_specific": False}
    train(work, run, train_options("compact", **quick))
    results = evaluate(run).results
    assert results["left_out"]["frames"] == {"left_out": 6, "of": 144}
    assert [fold["frames"]["left_out"] for fold in results["left_out"]["folds"].values()] == [2] * 3
    kept = load_predictions(run / "fold1/predictions.npz")
    np.testing.assert_array_equal(kept.left_out_labels, lost_labels(work, ("SN001", "SN002")))
    assert kept.left_out_subject.tolist() == ["SN001", "SN002"]
    found = predict(run, work, labelled=True)["1"]
    np.testing.assert_array_equal(found.left_out_labels, kept.left_out_labels)
    assert glee(["evaluate", str(run), "--missing", "absent"]) == 0
    written = json.loads((run / "results.json").read_text())
    assert written["frames"] == 144
    assert written["f1_by_missing"] == results["f1_by_missing"]
    html = render_report(run_report(run))
    assert "6 of 144" in html
    assert "2 of 48" in html


def test_frames_without_a_label_are_none_of_them(work):
    frames = load_frames(work, size=100, with_fit=False)
    subject, labels = labels_left_out(frames, ["SN003"])
    assert subject.tolist() == ["SN003"]
    assert labels.shape == (1, len(frames.au_names))
    assert labels_left_out(frames, [])[1].shape == (0, len(frames.au_names))
