"""Analyses as a whole: as the stages give it, growing files, whole or absent, flat memory."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from glee.errors import DataError, OutputError, UsageError
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.analysis import face_fit, face_stream
from glee.pipeline.analysis.analyze import SAMPLE_FRAMES, analyze, plan
from glee.pipeline.analysis.face_fit import ANALYSIS_FIT
from glee.pipeline.analysis.glee_table import TextTable, streamed_file
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import AnalyzeOptions, Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard


def table_of(done):
    return pd.read_csv(done.paths[0])


def test_landmarks_are_those_of_preprocess_and_the_fit_is_that_of_fit3d(videos, tmp_path):
    work = tmp_path / "work"
    preprocess(
        "folder",
        videos[0],
        work,
        options=PreprocessOptions(detector="mesh"),
        workers=1,
        progress=False,
    )
    fit3d(work, options=Fit3dOptions(whiten=True, prior=True), workers=1, progress=False)
    shard = read_shard(list_shards(work)[0])
    (done,) = analyze(videos[:1], tmp_path / "out", progress=False)
    own = pq.read_table(done.paths[1]).to_pandas()
    landmarks = np.stack([own[[f"{a}_{i}" for i in range(68)]] for a in "xy"], -1)
    assert np.array_equal(landmarks, shard.frames.landmarks)
    assert np.array_equal(own["valid"], shard.frames.valid)
    # The identity is from other frames of the same person.
    f_exp = own[list(shard.fit.expression_names)].to_numpy()
    assert np.median(np.abs(f_exp - shard.fit.f_exp)) < 0.05


def test_the_size_of_the_blocks_changes_nothing(videos, tmp_path, monkeypatch):
    texts = []
    for block in (5, 32):
        for name in ("BLOCK_FRAMES", "ROWS_TOGETHER"):
            monkeypatch.setattr(face_fit, name, block)
        monkeypatch.setattr(face_stream, "CHUNK_FRAMES", block)
        (done,) = analyze(videos[:1], tmp_path / str(block), progress=False)
        texts.append(done.paths[0].read_text())
    assert texts[0] == texts[1]


def test_rows_come_while_the_video_is_read_and_under_another_name(videos, tmp_path, monkeypatch):
    seen = []
    fitted = face_fit.RowStream._fitted

    def looking(self, size, faces):
        partial = list(tmp_path.glob(".*.csv"))
        assert len(partial) == 1
        assert not list(tmp_path.glob("[!.]*"))
        seen.append(len(partial[0].read_text().splitlines()))
        return fitted(self, size, faces)

    monkeypatch.setattr(face_fit.RowStream, "_fitted", looking)
    (done,) = analyze(videos[:1], tmp_path, progress=False)
    assert seen[0] == 1  # the header
    assert seen[1] == 1 + face_fit.FIRST_BLOCK
    assert not list(tmp_path.glob(".*"))
    assert all(path.exists() for path in done.paths)


@pytest.mark.parametrize("fails", [False, True])
def test_opencv_has_one_thread_during_an_analysis_alone(videos, tmp_path, monkeypatch, fails):
    threads = []
    fitted = face_fit.RowStream._fitted

    def looking(self, size, faces):
        threads.append(cv2.getNumThreads())
        if fails:
            raise DataError("no")
        return fitted(self, size, faces)

    monkeypatch.setattr(face_fit.RowStream, "_fitted", looking)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        with pytest.raises(DataError) if fails else nullcontext():
            analyze(videos[:1], tmp_path, progress=False)
        assert (set(threads), cv2.getNumThreads()) == ({1}, 3)
    finally:
        cv2.setNumThreads(before)


def test_a_failure_leaves_nothing_behind(videos, tmp_path, monkeypatch):
    def failing(self, size, faces):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(face_fit.RowStream, "_fitted", failing)
    with pytest.raises(OutputError, match="No space left"):
        analyze(videos[:1], tmp_path / "out", options=AnalyzeOptions(video=True), progress=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_two_faces_have_two_tables(frames_of, save_video, tmp_path):
    frames = [np.hstack(pair) for pair in zip(*frames_of, strict=True)]
    video = save_video(tmp_path / "two.mp4", frames[:24])
    options = AnalyzeOptions(faces=2)
    (done,) = analyze([video], tmp_path / "out", options=options, progress=False)
    table = table_of(done)
    assert done.faces == 2
    assert table["frame"].is_monotonic_increasing
    counts = table[table["valid"] == 1].groupby("face_id")["frame"].count()
    assert counts.tolist() == [24, 24]
    left = table.groupby("face_id")["x_30"].mean()
    assert abs(left[0] - left[1]) > 200
    # Each has an identity of its own, and the same expressions as when it is alone.
    alone = {}
    for number, frames in enumerate(frames_of):
        single = save_video(tmp_path / f"one{number}.mp4", frames[:24])
        (done,) = analyze([single], tmp_path / "alone", progress=False)
        alone[number] = table_of(done)
    first = table[table["face_id"] == left.idxmin()].reset_index(drop=True)
    assert np.abs(first["jawOpen"] - alone[0]["jawOpen"]).median() < 0.1


def test_arkit_has_a_file_a_face(frames_of, save_video, tmp_path):
    frames = [np.hstack(pair) for pair in zip(*frames_of, strict=True)]
    video = save_video(tmp_path / "two.mp4", frames[:12])
    options = AnalyzeOptions(faces=2, format="arkit")
    (done,) = analyze([video], tmp_path / "out", options=options, progress=False)
    assert [path.name for path in done.paths] == ["two_face0.arkit.csv", "two_face1.arkit.csv"]
    assert all(len(pd.read_csv(path)) == 12 for path in done.paths)


def test_overlay_has_every_frame(videos, tmp_path):
    import cv2

    options = AnalyzeOptions(video=True, format="arkit")
    (done,) = analyze(videos[:1], tmp_path, options=options, progress=False)
    capture = cv2.VideoCapture(str(done.paths[1]))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == done.frames
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20)
    done_reading, image = capture.read()
    assert done_reading
    assert image.shape[0] == 540
    # The landmarks' colour is somewhere on the face, the panel is dark.
    blue = np.array([233, 180, 86])
    assert (np.abs(image[:, :720].astype(int) - blue).sum(-1) < 60).sum() > 100
    assert np.median(image[:, 730:]) < 60


@pytest.mark.parametrize(
    "wrong",
    [{"format": "xml"}, {"faces": 0}, {"identity": "x"}, {"focal": -1}, {"detector": "x"}],
)
def test_wrong_options(videos, tmp_path, wrong):
    with pytest.raises(UsageError):
        analyze(videos[:1], tmp_path, options=AnalyzeOptions(**wrong), progress=False)


def test_inputs_of_one_name_are_refused_or_told_apart(videos, tmp_path, save_video, plain_frame):
    one = save_video(tmp_path / "talk.mp4", [plain_frame] * 3)
    other = save_video(tmp_path / "talk.avi", [plain_frame] * 3, codec="MJPG")
    done = analyze([one, other], tmp_path / "out", progress=False)
    assert [item.name for item in done] == ["talk_mp4", "talk_avi"]
    with pytest.raises(UsageError, match="was given 2 times"):
        analyze([one, one], tmp_path / "out", progress=False)
    with pytest.raises(DataError, match="no such"):
        analyze([tmp_path / "none.mp4"], tmp_path / "out", progress=False)


def test_the_plan_writes_nothing(videos, tmp_path):
    out = tmp_path / "out"
    (planned,) = plan(videos[:1], out, AnalyzeOptions(video=True))
    name = videos[0].stem
    assert planned.line() == f"{videos[0]} -> " + ", ".join(
        str(out / f"{name}{suffix}") for suffix in (".csv", ".parquet", ".mp4")
    )
    assert not out.exists()


def test_what_a_killed_run_left_is_removed(tmp_path):
    host, path = socket.gethostname(), tmp_path / "talk.csv"
    dead, alive = (
        tmp_path / f".talk.{host}.{process}.partial.csv" for process in (2**22 + 1, os.getppid())
    )
    other = tmp_path / f".speech.{host}.{2**22 + 1}.partial.csv"
    for left in (dead, alive, other):
        left.touch()
    with streamed_file(path) as temporary:
        temporary.write_text("frame\n")
    assert sorted(tmp_path.iterdir()) == sorted([other, alive, path])


def test_nan_is_missing_and_a_word_is_a_word(tmp_path):
    table = TextTable(tmp_path / "t.csv", [("a", "%.2f"), ("reason", "%s")], missing="NaN")
    table.write([(float("nan"), "nan"), (np.float32(1.5), "ok")])
    table.close()
    assert (tmp_path / "t.csv").read_text() == "a,reason\nNaN,nan\n1.50,ok\n"


class BrightnessScorer:
    """Stands for a trained run: AU1 is how bright the aligned face is, AU12 is jawOpen."""

    au_names = ("AU1", "AU12")
    detector = "mesh"
    fit = ANALYSIS_FIT
    run, digest = "runs/brightness", "1"

    def __init__(self):
        self.checked, self.persons = [], []

    def check(self, detector, fit, model):
        self.checked.append((detector, fit.whiten, fit.prior, model.name))

    def score(self, crops, f_exp, identity):
        assert crops.shape[1:] == (200, 200, 3)
        self.persons.append(identity)
        jaw_open = f_exp[:, load_model().expression_names.index("jawOpen")]
        return np.stack([crops.mean((1, 2, 3)) / 255, jaw_open], 1).astype(np.float32)


def test_a_scorer_gives_action_units(videos, tmp_path):
    scorer = BrightnessScorer()
    (done,) = analyze(videos[:1], tmp_path / "a", scorer=scorer, progress=False)
    own = pq.read_table(done.paths[1]).to_pandas()
    assert scorer.checked == [("mesh", True, True, "makehuman-60")]
    # One person, of whom the sample of frames tells what is usual.
    assert len({id(person) for person in scorer.persons}) == 1
    assert scorer.persons[0].frames == SAMPLE_FRAMES
    assert own["AU12"].to_numpy() == pytest.approx(own["jawOpen"].to_numpy(), abs=1e-6)
    assert own["AU1"].between(0.1, 0.9).all()
    options = AnalyzeOptions(format="openface")
    (done,) = analyze(videos[:1], tmp_path / "b", options=options, scorer=scorer, progress=False)
    openface = pd.read_csv(done.paths[0])
    assert openface["AU12_r"].to_numpy() == pytest.approx(5 * own["AU12"].to_numpy(), abs=6e-3)
    assert np.array_equal(openface["AU12_c"], own["AU12"] > 0.5)
    assert openface["AU45_r"].isna().all()
