"""Prediction of videos and shards: a row for every frame, and what is refused."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest

from glee.errors import DataError
from glee.model.checkpoint import load_checkpoint
from glee.model.data.provenance import Provenance, check_provenance
from glee.model.options import train_options
from glee.model.prediction.predict import predict_table
from glee.model.prediction.predictions import load_predictions
from glee.model.training.training import train
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import add_fit, list_shards, read_shard
from glee.pipeline.synthesis.clips import synthesise

QUICK = {"ablation": "no-gb-lb", "batch": 16, "epochs": 1, "ema": 0.0, "person_specific": False}


def rows_of(table):
    return list(csv.DictReader(io.StringIO(table.text)))


def test_shards_give_a_row_for_every_frame(work, tmp_path):
    train(work, tmp_path / "run", train_options("compact", **QUICK), fold="1")
    table = predict_table(tmp_path / "run", work)
    rows = rows_of(table)
    assert (table.frames, table.invalid, len(rows)) == (46, 2, 48)
    lost = [row for row in rows if row["reason"] != "ok"]
    assert [(row["subject"], row["frame_id"], row["AU12"]) for row in lost] == [
        ("SN001", "1", ""),
        ("SN002", "1", ""),
    ]
    own = load_predictions(tmp_path / "run/fold1/predictions.npz")
    found = [[float(row[au]) for au in own.au_names] for row in rows if row["reason"] == "ok"]
    assert np.array(found) == pytest.approx(own.probability, abs=6e-5)


def test_frames_fitted_with_another_model_or_other_options_are_refused(work, tmp_path):
    train(work, tmp_path / "run", train_options("compact", **QUICK), fold="1")
    for name, change, said in (
        ("model", {"model": "other"}, "morphable model 'other'"),
        (
            "options",
            {"options": {"bounds": False}},
            "fit3d bounds is False there, True in training",
        ),
    ):
        shutil.copytree(work, tmp_path / name)
        for path in list_shards(tmp_path / name):
            fit = read_shard(path).fit
            add_fit(path, replace(fit, **{"options": {"bounds": True}, **change}))
        if name == "options":
            trained = tmp_path / "with_options"
            shutil.copytree(work, trained)
            for path in list_shards(trained):
                add_fit(path, replace(read_shard(path).fit, options={"bounds": True}))
            train(trained, tmp_path / "run2", train_options("compact", **QUICK), fold="1")
        run = tmp_path / ("run2" if name == "options" else "run")
        with pytest.raises(DataError, match=said):
            predict_table(run, tmp_path / name)


def test_a_source_that_is_missing_is_told_before_the_run_is_read(tmp_path):
    with pytest.raises(DataError, match=r"nope\.mp4: no such file or folder; give a video, an"):
        predict_table(tmp_path / "run", tmp_path / "nope.mp4")


def test_same_name_but_another_fingerprint():
    one = Provenance("dlib", {}, {}, "face", "aa" * 32)
    with pytest.raises(DataError, match=r"'face' \(bbbbbbbbbbbb\).*'face' \(aaaaaaaaaaaa\)"):
        check_provenance(one, replace(one, model_sha256="bb" * 32), coefficients=True)
    check_provenance(one, replace(one, model_sha256="bb" * 32), coefficients=False)
    # shards of before there were fingerprints
    check_provenance(one, replace(one, model_sha256=""), coefficients=True)
    with pytest.raises(DataError, match="detector is 'mesh' there, 'dlib' in training"):
        check_provenance(one, replace(one, detector="mesh"), coefficients=False)


@pytest.mark.slow
def test_a_raw_video_gives_what_its_shards_give(tmp_path, caplog):
    """A video of a test subject goes through both stages with the run's own options."""
    data, work, run = tmp_path / "data", tmp_path / "work", tmp_path / "run"
    subjects = ["SN001", "SN002", "SN006", "SN003"]
    synthesise(data, subjects=subjects, frames=12, size=(480, 360), seed=0, workers=1)
    made = PreprocessOptions(detector="mesh", minimum_confidence=0.3)
    preprocess("disfa", data, work, options=made, workers=1, progress=False)
    fit3d(work, options=Fit3dOptions(whiten=True, prior=True), workers=1, progress=False)
    train(work, run, train_options("compact", **QUICK), fold="1")
    assert load_checkpoint(run / "fold1/checkpoint.pt").provenance["fit3d"]["prior"] is True
    video = data / "Videos_LeftCamera/LeftVideoSN001_comp.avi"
    table = predict_table(run, video, workers=1)
    assert "LeftVideoSN001_comp: the run's own data has a clip of this name" in caplog.text
    shards = [row for row in rows_of(predict_table(run, work)) if row["subject"] == "SN001"]
    assert len(rows_of(table)) == len(shards) == 12
    for one, other in zip(rows_of(table), shards, strict=True):
        assert {k: v for k, v in one.items() if k.startswith("AU")} == {
            k: v for k, v in other.items() if k.startswith("AU")
        }
