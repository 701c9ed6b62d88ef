"""The synthetic dataset: DISFA's layout, truth that fits the pictures, repeatable bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from glee.errors import DataError, OutputError, UsageError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.appearance import DARKEST, LIGHTEST, random_appearance, skin_tone
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets.disfa import AUS, FOLDS
from glee.pipeline.synthesis.clips import read_truth, subject_names, synthesise
from glee.pipeline.synthesis.dataset import synthesise_dataset
from glee.pipeline.synthesis.motion import random_motion

FRAMES = 6
SIZE = (160, 120)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthesise(folder, subjects=["SN001", "SN006"], frames=FRAMES, size=SIZE, seed=3)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_layout_is_disfas(root: Path) -> None:
    names = set(_files(root))
    for subject in ("SN001", "SN006"):
        assert f"Videos_LeftCamera/LeftVideo{subject}_comp.avi" in names
        assert f"truth/{subject}.h5" in names
        for au in AUS:
            text = (root / f"ActionUnit_Labels/{subject}/{subject}_au{au}.txt").read_text()
            rows = [line.split(",") for line in text.splitlines()]
            assert [int(frame) for frame, _ in rows] == list(range(1, FRAMES + 1))
            assert all(0 <= int(level) <= 5 for _, level in rows)
    assert len(names) == 2 * (2 + len(AUS))


def test_videos_have_the_frames_asked_for(root: Path) -> None:
    video = cv2.VideoCapture(str(root / "Videos_LeftCamera/LeftVideoSN001_comp.avi"))
    frames = []
    while True:
        done, frame = video.read()
        if not done:
            break
        frames.append(frame)
    assert len(frames) == FRAMES
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0)


def test_truth_agrees_with_labels_model_and_camera(root: Path) -> None:
    truth = read_truth(root / "truth/SN006.h5")
    model = load_model()
    for column, au in enumerate(AUS):
        labels = np.loadtxt(
            root / f"ActionUnit_Labels/SN006/SN006_au{au}.txt", delimiter=",", dtype=int
        )
        np.testing.assert_array_equal(labels[:, 1], truth.intensity[:, column])
    assert truth.aus == AUS
    assert (truth.camera.width, truth.camera.height) == SIZE
    assert set(truth.landmarks) == set(model.landmarks)
    mesh = model.shape(truth.f_shape, truth.f_exp[2])
    places = landmark_places(model, mesh, truth.pose[2], "anatomical")
    pixels = truth.camera.project(places, truth.pose[2])
    np.testing.assert_allclose(pixels, truth.landmarks["anatomical"][2], atol=1e-3)
    assert (pixels > 0).all()
    assert (pixels < SIZE).all()


def test_truth_states_the_skin_that_was_drawn(root: Path) -> None:
    truth = read_truth(root / "truth/SN006.h5")
    look = random_appearance(np.random.default_rng([3, *b"SN006"]))
    assert LIGHTEST <= truth.skin_tone <= DARKEST
    np.testing.assert_allclose(look.skin, skin_tone(truth.skin_tone), rtol=0.08)


def test_bytes_depend_on_seed_and_subject_alone(root: Path, tmp_path: Path) -> None:
    options = {"frames": FRAMES, "size": SIZE}
    synthesise(tmp_path / "again", subjects=["SN006", "SN001"], seed=3, workers=2, **options)  # type: ignore[arg-type]
    assert _files(tmp_path / "again") == _files(root)
    synthesise(tmp_path / "other", subjects=["SN001"], seed=4, **options)  # type: ignore[arg-type]
    other = _files(tmp_path / "other")
    assert all(
        other[name] != content
        for name, content in _files(root).items()
        if name in other and not name.endswith(".txt")
    )


def test_every_au_comes_often_enough_to_learn_from_and_changes_smoothly() -> None:
    for seed in range(6):
        motion = random_motion(AUS, ARKIT_NAMES, 120, 20.0, np.random.default_rng(seed))
        share = (motion.intensity >= 2).mean(0)
        assert share.min() >= 0.15
        assert share.max() <= 0.65
        assert set(np.unique(motion.intensity)) <= set(range(6))
        assert np.abs(np.diff(motion.intensity.astype(int), axis=0)).max() <= 3
        assert motion.f_exp.min() >= 0.0
        assert motion.f_exp.max() <= 1.0
        assert np.degrees(np.linalg.norm(np.diff(motion.turn, axis=0), axis=1)).max() < 5.0


def test_blinks_are_there_and_no_au() -> None:
    motion = random_motion(AUS, ARKIT_NAMES, 200, 20.0, np.random.default_rng(1))
    closed = motion.f_exp[:, ARKIT_NAMES.index("eyeBlinkLeft")] > 0.7
    starts = np.count_nonzero(np.diff(closed.astype(int)) == 1)
    assert 2 <= starts <= 8
    assert closed.mean() < 0.25


def test_coefficients_follow_the_labels() -> None:
    motion = random_motion(AUS, ARKIT_NAMES, 300, 20.0, np.random.default_rng(2))
    for au, name in ((1, "browInnerUp"), (12, "mouthSmileLeft"), (26, "jawOpen")):
        levels = motion.intensity[:, AUS.index(au)]
        course = motion.f_exp[:, ARKIT_NAMES.index(name)]
        assert np.corrcoef(levels, course)[0, 1] > 0.9


def test_nine_subjects_are_three_of_each_fold() -> None:
    names = subject_names(9)
    assert len(set(names)) == 9
    assert [sum(name in fold for name in names) for fold in FOLDS] == [3, 3, 3]


@pytest.mark.parametrize(
    "bad",
    [
        {"subjects": 0},
        {"subjects": 28},
        {"subjects": ["SN014"]},
        {"subjects": ["SN001", "SN001"]},
        {"subjects": []},
        {"frames": 0},
        {"size": (641, 480)},
        {"size": (8, 8)},
        {"seed": -1},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"workers": 0},
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, bad: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        synthesise(tmp_path / "out", **bad)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_unwritable_folder_and_broken_truth_are_told(tmp_path: Path, root: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        synthesise(tmp_path / "file", subjects=1, frames=1, size=SIZE)
    whole = (root / "truth/SN001.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    for name in ("half.h5", "absent.h5", "file"):
        with pytest.raises(DataError, match=name):
            read_truth(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_all_workers_and_leaves_no_half_file(tmp_path: Path) -> None:
    words = ["synth", str(tmp_path), "--subjects", "4", "--frames", "600", "--workers", "2"]
    running = subprocess.Popen(
        [sys.executable, "-m", "glee.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.rglob(".*.partial.avi"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal tells Ctrl-C
    said = running.communicate(timeout=60)[1]
    assert said.strip() == "glee: interrupted; run the same command again to finish"
    assert running.returncode == 130
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_an_error_of_a_worker_is_raised(tmp_path: Path) -> None:
    (tmp_path / "Videos_LeftCamera").write_text("no folder")
    for workers in (1, 2):
        with pytest.raises(OutputError, match="cannot write"):
            synthesise(tmp_path, subjects=2, frames=2, size=SIZE, workers=workers)


def test_another_dataset_in_the_folder_is_refused(tmp_path):
    """Its people and those of the new one would pass for one dataset."""

    def make(**options):
        return synthesise_dataset(
            tmp_path, **{"subjects": 2, "frames": 1, "size": (160, 120), **options}
        )

    videos = make()
    before = [video.read_bytes() for video in videos]
    for changed in ({"subjects": 1}, {"frames": 2}, {"seed": 1}, {"layout": "bp4d"}):
        with pytest.raises(OutputError, match=f"{next(iter(changed))}.* differ"):
            make(**changed)
    assert [video.read_bytes() for video in make()] == before
    (tmp_path / ".glee-synth.json").unlink()
    with pytest.raises(OutputError, match="not what they were made with"):
        make()
