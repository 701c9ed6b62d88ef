"""Landmarks of OpenFace and of CSV files in a backend's place, and every kind of bad file."""

from __future__ import annotations

import numpy as np
import pytest

from glee.cli import run as glee
from glee.errors import DataError, UsageError
from glee.pipeline.fit3d import fit3d
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.recorded import read_recorded, recorded_folder
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import REASONS, list_shards, read_shard
from glee.pipeline.synthesis.clips import read_truth

SIZE = (320, 240)
# What OpenFace 2.2's FeatureExtraction writes before and after the 2D landmarks.
BEFORE = ("frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx")
POINTS = tuple(f"{axis}_{point}" for axis in "xy" for point in range(68))
AFTER = ("X_0", "Y_0", "Z_0", "AU01_r", "AU01_c")


def table(landmarks, separator=",", *, fps=20.0, confidence=0.98, changes=None, drop=()):
    """OpenFace's CSV of these landmarks; `changes` maps a frame's number to fields of its row."""
    lines = [separator.join((*BEFORE, *POINTS, *AFTER))]
    for number, points in enumerate(landmarks, 1):
        if number in drop:
            continue
        row = dict.fromkeys((*BEFORE, *POINTS, *AFTER), "0.1")
        row |= {"frame": str(number), "face_id": "0", "timestamp": f"{(number - 1) / fps:.3f}"}
        row |= {"confidence": str(confidence), "success": "1"}
        row |= dict(zip(POINTS, (f"{value:.3f}" for value in points.T.ravel()), strict=True))
        row |= (changes or {}).get(number, {})
        lines.append(separator.join(row.values()))
    return "\n".join(lines) + "\n"


def face(frames=12):
    """Landmarks that lie in the picture and differ in every frame and point."""
    points = np.stack(np.meshgrid(np.arange(68), np.arange(frames)), -1).astype(float)
    return np.stack([100 + points[..., 0], 60 + points[..., 1] + points[..., 0]], -1)


@pytest.mark.parametrize("separator", [",", ", "])
def test_points_confidence_and_success_by_frame_number(tmp_path, separator):
    """Of version 2 and of version 1; rows in any order."""
    lost = {3: {"success": "0", "confidence": "0.1"}, 5: {"confidence": "0.25"}}
    head, *rows = table(face(), separator, changes=lost).splitlines()
    path = tmp_path / "clip.csv"
    path.write_text("\n".join([head, *reversed(rows)]))
    found = read_recorded(path, frames=12, size=SIZE, fps=20.0)
    np.testing.assert_allclose(found.landmarks, face(), atol=1e-3)
    assert found.found.tolist() == [number != 3 for number in range(1, 13)]
    assert found.confidence[4] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(face(9)), "frame 10 is missing (3 of the clip's 12 are)"),
        (table(face(), drop=(7,)), "frame 7 is missing (1 of the clip's 12 are)"),
        (table(face(15)), "15 frames, of which 13 is not of the clip's 1 to 12; it is of another"),
        (table(face(), changes={4: {"frame": "3"}}), "frame 3 is there twice"),
        (table(face() * 5), "lie outside pictures of 320x240 pixels; it is of another clip"),
        (table(face(), fps=5.0), "its times span 2.2 s, the clip's 12 frames 0.6 s"),
        (table(face(), changes={4: {"face_id": "1"}}), "holds several faces"),
        (table(face(), confidence=98), "column confidence leaves 0 to 1"),
        (table(face(), changes={4: {"x_9": "?"}}), "line 5 holds what is no number"),
        (table(face()).replace("y_67", "z_67"), "has no column y_67"),
        ("", "has no column frame"),
        (",".join(("frame", *POINTS)), "holds no frame"),
        (table(face())[:-30], "line 13 has"),
        (table(face(), changes={4: {"frame": "3.5"}}), "column frame holds 3.5"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, said):
    path = tmp_path / "clip.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_recorded(path, frames=12, size=SIZE, fps=20.0)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_names_of_backends_are_none_and_folders_must_be_there(tmp_path):
    assert recorded_folder("mesh") is recorded_folder("fan:blazeface") is None
    assert recorded_folder(f"openface:{tmp_path}").folder == tmp_path.resolve()
    for name in ("openface", "csv:", f"csv:{tmp_path / 'none'}"):
        with pytest.raises(UsageError, match="is no folder; give"):
            recorded_folder(name)


def test_other_commands_say_that_they_take_no_files(tmp_path):
    with pytest.raises(UsageError, match="by `glee preprocess` alone"):
        load_detector(f"openface:{tmp_path}")


@pytest.fixture
def files(synthetic_disfa, tmp_path):
    """OpenFace's files of both clips of the rendered DISFA, with the true landmarks."""
    folder, truth = tmp_path / "openface", {}
    videos = sorted(synthetic_disfa.glob("Videos_LeftCamera/*.avi"))
    assert len(videos) == 2
    for video in videos:
        subject = video.stem.removeprefix("LeftVideo").removesuffix("_comp")
        truth[subject] = read_truth(synthetic_disfa / "truth" / f"{subject}.h5").landmarks[
            "anatomical"
        ]
        folder.mkdir(exist_ok=True)
        (folder / f"{video.stem}.csv").write_text(table(truth[subject]))
    return folder, truth


def run(root, out, folder, kind="openface"):
    options = PreprocessOptions(chunk_frames=10, detector=f"{kind}:{folder}")
    return preprocess("disfa", root, out, options=options, workers=1, progress=False)


def test_shards_hold_the_files_landmarks_and_are_fitted(synthetic_disfa, tmp_path, files):
    folder, truth = files
    changes = {12: {"success": "0"}, 13: {"confidence": "0.01"}}
    first = sorted(folder.glob("*.csv"))[0]
    subject = sorted(truth)[0]
    first.write_text(table(truth[subject], changes=changes))
    summary = run(synthetic_disfa, tmp_path / "work", folder)
    assert (summary.frames, summary.valid) == (72, 70)
    for path in list_shards(tmp_path / "work"):
        shard = read_shard(path)
        frames, header = shard.frames, shard.header
        expected = truth[header.subject][header.start : header.stop]
        np.testing.assert_allclose(
            frames.landmarks[frames.valid], expected[frames.valid], atol=1e-3
        )
        assert header.detector.startswith("openface ")
    lost = read_shard(list_shards(tmp_path / "work")[1]).frames.reason
    assert [REASONS[code] for code in lost[1:3]] == ["no_face", "low_confidence"]
    fit3d(tmp_path / "work", workers=1, progress=False)
    fitted = [read_shard(path) for path in list_shards(tmp_path / "work")]
    assert all(np.isfinite(shard.fit.f_exp[shard.frames.valid]).all() for shard in fitted)
    # The same files change nothing, another one makes its clip's shards again.
    assert run(synthetic_disfa, tmp_path / "work", folder).kept == 8
    first.write_text(table(truth[subject]))
    again = run(synthetic_disfa, tmp_path / "work", folder)
    assert (again.kept, again.made, again.valid) == (4, 4, 72)


def test_a_file_of_another_clip_is_its_clips_alone(synthetic_disfa, tmp_path, files, capsys):
    folder, truth = files
    first, second = sorted(folder.glob("*.csv"))
    first.write_text(table(truth[sorted(truth)[0]][:30]))
    words = ["preprocess", "--dataset", "disfa", "--root", str(synthetic_disfa)]
    words += ["--out", str(tmp_path / "work"), "--workers", "1", "--detector", f"csv:{folder}"]
    assert glee(words) != 0
    said = capsys.readouterr()
    assert f"{first}: frame 31 is missing (6 of the clip's 36 are)" in said.out + said.err
    (shard, *_) = (read_shard(path) for path in list_shards(tmp_path / "work"))
    assert shard.header.subject == sorted(truth)[1]
    second.unlink()
    assert glee([*words, "--overwrite"]) != 0
    said = capsys.readouterr()
    assert "holds no landmarks of" in said.out + said.err
    assert glee([*words, "--dense"]) == 2
    assert "--dense is of a backend" in capsys.readouterr().err
