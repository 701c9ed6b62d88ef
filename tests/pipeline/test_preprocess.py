"""The stage preprocess end to end: what it writes, what it keeps, and every kind of bad input."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import cv2
import h5py
import numpy as np
import pytest

from glee.errors import DataError, GleeError, OptionsError, OutputError, UsageError, WeightsError
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.pipeline.datasets import disfa as disfa_module
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import alignment_transform
from glee.pipeline.landmarks import dlib_backend
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import read_truth
from glee.pipeline.verification import verify_dataset

# Small chunks, so that the short test clips have several.
OPTIONS = PreprocessOptions(chunk_frames=10)


def run(root, out, **arguments):
    arguments = {"options": OPTIONS, "workers": 1, "progress": False, **arguments}
    return preprocess("disfa", root, out, **arguments)


def contents(work):
    return {path.relative_to(work): path.read_bytes() for path in list_shards(work)}


@pytest.fixture(scope="module")
def undisturbed(synthetic_disfa, tmp_path_factory):
    """The work folder of one whole run with one worker, and its summary."""
    out = tmp_path_factory.mktemp("undisturbed") / "work"
    return out, run(synthetic_disfa, out)


def test_shards_hold_the_clips_frames_labels_and_aligned_crops(undisturbed, synthetic_disfa):
    work, summary = undisturbed
    assert (summary.frames, summary.made, summary.kept) == (72, 8, 0)
    assert summary.valid >= 70
    for path in list_shards(work):
        shard = read_shard(path)
        header, frames = shard.header, shard.frames
        truth = read_truth(synthetic_disfa / "truth" / f"{header.subject}.h5")
        rows = slice(header.start, header.stop)
        np.testing.assert_array_equal(frames.frame_id, np.arange(header.start, header.stop) + 1)
        np.testing.assert_array_equal(shard.labels, truth.intensity[rows])
        assert header.au_names == tuple(f"AU{au}" for au in disfa_module.AUS)
        assert (header.frame_size, header.fps, header.label_kind) == ((320, 240), 20.0, "intensity")
        landmarks = np.where(frames.valid[:, None, None], frames.landmarks, np.nan)
        assert nme(landmarks, truth.landmarks["anatomical"][rows]) < 0.08
        for index in np.flatnonzero(frames.valid)[:2]:
            expected = alignment_transform(frames.landmarks[index])
            np.testing.assert_allclose(frames.transform[index], expected)
            assert shard.crop(index).std() > 10
    assert [path.parent.name for path in list_shards(work)][:4] == ["LeftVideoSN001_comp"] * 4


def test_crops_show_what_the_transform_says(undisturbed, synthetic_disfa):
    work, _ = undisturbed
    shard = read_shard(list_shards(work)[1])
    capture = cv2.VideoCapture(str(synthetic_disfa / shard.header.source))
    for _ in range(shard.header.start + 4):
        _, image = capture.read()
    crop = cv2.warpAffine(image, shard.frames.transform[3], (200, 200), borderValue=(128, 128, 128))
    assert np.abs(shard.crop(3)[..., ::-1].astype(int) - crop).mean() < 2


def test_two_workers_give_the_bytes_of_one(undisturbed, synthetic_disfa, tmp_path):
    work, summary = undisturbed
    other = run(synthetic_disfa, tmp_path / "work", workers=2)
    assert contents(tmp_path / "work") == contents(work)
    assert other.clips == summary.clips


def test_a_killed_run_started_again_gives_the_bytes_of_an_undisturbed_one(
    undisturbed, synthetic_disfa, tmp_path
):
    work = tmp_path / "work"
    program = (
        "import sys\n"
        "from glee.pipeline.options import PreprocessOptions\n"
        "from glee.pipeline.preprocess import preprocess\n"
        "options = PreprocessOptions(chunk_frames=10)\n"
        "preprocess('disfa', sys.argv[1], sys.argv[2], options=options, workers=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(synthetic_disfa), str(work)])
    deadline = time.monotonic() + 60
    while len(list((work / "shards").glob("*/*/*.h5"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in list_shards(work)}
    assert 2 <= len(done) < 8
    (work / "shards/SN001/LeftVideoSN001_comp/.000003.h5.9.partial").write_bytes(b"half")
    summary = run(synthetic_disfa, work)
    assert summary.kept == len(done)
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    assert contents(work) == contents(undisturbed[0])
    assert not list(work.rglob("*.partial"))


def test_damaged_shards_and_those_of_another_version_are_made_again(
    undisturbed, synthetic_disfa, tmp_path
):
    work = tmp_path / "work"
    shutil.copytree(undisturbed[0], work)
    paths = list_shards(work)
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[: len(whole) // 2])
    with h5py.File(paths[1], "r+") as file:
        file.attrs["format_version"] = 99
    with h5py.File(paths[2], "r+") as file:
        file["labels/AU1"][0] = 5 - file["labels/AU1"][0]
    paths[3].write_bytes(b"")
    paths[4].unlink()
    summary = run(synthetic_disfa, work)
    assert (summary.made, summary.kept) == (5, 3)
    assert contents(work) == contents(undisturbed[0])


def test_shards_with_a_fit_stay(undisturbed, synthetic_disfa, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(undisturbed[0], work)
    fit3d(work, workers=1, progress=False)
    fitted = contents(work)
    assert run(synthetic_disfa, work).kept == 8
    assert contents(work) == fitted


def test_changed_labels_are_noticed(undisturbed, disfa, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(undisturbed[0], work)
    path = disfa_module.label_path(disfa, "SN001", 4)
    lines = path.read_text().splitlines()
    lines[14] = f"15,{5 - int(lines[14].split(',')[1])}"
    path.write_text("\n".join(lines))
    assert run(disfa, work).made == 1


def test_other_options_stop_and_overwrite_begins_anew(undisturbed, synthetic_disfa, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(undisturbed[0], work)
    other = PreprocessOptions(chunk_frames=20)
    with pytest.raises(OptionsError, match="chunk_frames is 10 there, 20 now"):
        run(synthetic_disfa, work, options=other)
    assert contents(work) == contents(undisturbed[0])
    summary = run(synthetic_disfa, work, options=other, overwrite=True)
    assert (summary.made, len(list_shards(work))) == (4, 4)


def test_one_broken_clip_is_reported_and_the_others_are_finished(undisturbed, disfa, tmp_path):
    disfa_module.video_path(disfa, "SN001").write_bytes(b"")
    with pytest.raises(DataError, match=r"LeftVideoSN001_comp\.avi: is empty") as caught:
        run(disfa, tmp_path / "work")
    assert "\n" not in str(caught.value)
    expected = {p: c for p, c in contents(undisturbed[0]).items() if "SN001" not in str(p)}
    assert contents(tmp_path / "work") == expected


def test_truncated_video_has_the_lost_frames_in_their_places(disfa, tmp_path):
    path = disfa_module.video_path(disfa, "SN001")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    summary = run(disfa, tmp_path / "work")
    assert summary.frames == 72
    assert 14 <= summary.invalid["unreadable"] <= 22
    last = read_shard(list_shards(tmp_path / "work")[3])
    assert not last.frames.valid.any()
    assert np.isnan(last.frames.landmarks).all()
    assert (last.crop(0) == 128).all()
    assert (last.labels >= 0).all()


def test_short_label_file(disfa, tmp_path):
    path = disfa_module.label_path(disfa, "SN001", 6)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))
    with pytest.raises(DataError, match=r"SN001_au6\.txt: 30 lines for the 36 frames"):
        run(disfa, tmp_path / "work")


def test_missing_label_file_and_label_of_7(disfa, tmp_path):
    path = disfa_module.label_path(disfa, "SN001", 6)
    lines = path.read_text().splitlines()
    lines[8] = "9,7"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"SN001_au6\.txt, line 9: intensity '7'"):
        run(disfa, tmp_path / "work")
    path.unlink()
    with pytest.raises(DataError, match=r"SN001_au6\.txt: label file is missing"):
        run(disfa, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_unwritable_output_folder(synthetic_disfa, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file as work folder"):
        run(synthetic_disfa, tmp_path / "file")
    (tmp_path / "work" / "shards" / "SN001").mkdir(parents=True)
    (tmp_path / "work" / "shards" / "SN001" / "LeftVideoSN001_comp").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*000000\.h5.*3 more failed"):
        run(synthetic_disfa, tmp_path / "work")


def test_a_backend_that_is_not_installed_stops_before_anything_is_written(
    synthetic_disfa, tmp_path, monkeypatch
):
    load_detector.cache_clear()
    monkeypatch.setattr(dlib_backend, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="shape_predictor_68.*extra dlib"):
        run(synthetic_disfa, tmp_path / "work", options=PreprocessOptions(detector="dlib"))
    assert not (tmp_path / "work").exists()
    load_detector.cache_clear()


def test_usage(synthetic_disfa, tmp_path):
    with pytest.raises(UsageError, match="known are:.*disfa.*folder"):
        preprocess("disfaa", synthetic_disfa, tmp_path / "work")
    for wrong in (
        PreprocessOptions(chunk_frames=2000),
        PreprocessOptions(encoding="gif"),
        PreprocessOptions(detect_every=0),
        PreprocessOptions(detector="dlip"),
    ):
        with pytest.raises(UsageError):
            run(synthetic_disfa, tmp_path / "work", options=wrong)
    assert not (tmp_path / "work").exists()


def test_an_unexpected_error_in_a_chunk_becomes_one_line(synthetic_disfa, tmp_path, monkeypatch):
    def fail(*arguments, **more):
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr("glee.pipeline.chunk.alignment_transform", fail)
    with pytest.raises(GleeError, match="ZeroDivisionError: in the middle") as caught:
        run(synthetic_disfa, tmp_path / "work")
    assert "\n" not in str(caught.value)


def test_an_unexpected_error_of_a_label_file_is_its_clips(synthetic_disfa, tmp_path, caplog):
    """A parser's bug in one clip's files hides neither its name nor the other clips' errors."""
    root = shutil.copytree(synthetic_disfa, tmp_path / "DISFA")
    (root / "ActionUnit_Labels/SN006/SN006_au1.txt").write_text("1,9\n")
    parse = disfa_module._read_clip

    def fail(root, paths, subject):
        if subject == "SN001":
            raise ZeroDivisionError("in the middle")
        return parse(root, paths, subject)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disfa_module, "_read_clip", fail)
        with pytest.raises(DataError) as caught:
            run(root, tmp_path / "work")
        report = verify_dataset("disfa", root)
    assert "SN001/LeftVideoSN001_comp: unexpected ZeroDivisionError: in the" in str(caught.value)
    assert "and 1 more clips" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [record.levelname for record in caplog.records if "SN006" in record.message] == ["ERROR"]
    assert sum("ZeroDivisionError" in problem.text for problem in report.problems) == 1
    assert not (tmp_path / "work").exists()


def test_images_of_another_size_stay_in_place(real_folder, tmp_path):
    face = cv2.imread(str(real_folder / "single_face.jpg"))
    (tmp_path / "images").mkdir()
    for number, image in enumerate((face, face[:, :300], face[..., 0])):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    work = tmp_path / "work"
    summary = preprocess("folder", tmp_path / "images", work, workers=1, progress=False)
    assert (summary.frames, summary.valid, summary.invalid) == (3, 2, {"other_size": 1})


@pytest.fixture(scope="module")
def real_work(real_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "work"
    return out, preprocess("folder", real_folder, out, workers=1, progress=False)


def test_real_videos_and_image(real_work):
    work, summary = real_work
    by_clip = {clip.clip: clip for clip in summary.clips}
    assert by_clip["WolfgangLanger_Pexels"].frames == 472
    assert by_clip["WolfgangLanger_Pexels"].valid == 472
    assert (by_clip["single_face.mp4"].frames, by_clip["single_face.mp4"].valid) == (72, 72)
    assert (by_clip["single_face.jpg"].frames, by_clip["single_face.jpg"].valid) == (1, 1)
    assert by_clip["no_face"].valid == 0
    # In some of its frames a pattern is looked at as a face, and refused.
    assert sum(by_clip["no_face"].invalid.values()) == 95
    assert by_clip["no_face"].invalid["no_face"] >= 85
    assert "95 invalid" in "\n".join(summary.lines())
    for path in list_shards(work):
        shard = read_shard(path)
        assert shard.labels.shape == (len(shard), 0)
        assert np.isfinite(shard.frames.landmarks[shard.frames.valid]).all()
        assert np.isnan(shard.frames.transform[~shard.frames.valid]).all()


def test_images_replaced_by_others_of_the_same_size_are_not_kept(tmp_path):
    folder = tmp_path / "photos" / "anna"
    folder.mkdir(parents=True)
    for number in range(4):
        image = np.full((64, 64, 3), 40 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number}.bmp"), image)
    arguments = {"options": OPTIONS, "workers": 1, "progress": False}
    work = tmp_path / "work"
    assert preprocess("folder", tmp_path / "photos", work, **arguments).made == 1
    assert preprocess("folder", tmp_path / "photos", work, **arguments).kept == 1
    cv2.imwrite(str(folder / "2.bmp"), np.full((64, 64, 3), 7, np.uint8))
    assert preprocess("folder", tmp_path / "photos", work, **arguments).made == 1
