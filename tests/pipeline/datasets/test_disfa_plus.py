"""DISFA+: trials of images, label rows by number or file name, and what is wrong in them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.datasets import disfa, disfa_plus, find_content, open_dataset
from glee.pipeline.synthesis.clips import read_truth


def write_trial(root, subject="SN003", trial="Smile", images=range(4), row="{frame} {level}\n"):
    """Intensities that tell their AU and frame apart, and empty images."""
    folder = root / "Images" / subject / trial
    folder.mkdir(parents=True)
    for number in images:
        (folder / f"{number:03d}.jpg").write_bytes(b"")
    for au in disfa_plus.AUS:
        path = disfa_plus.label_path(root, subject, trial, au)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (row.format(frame=frame, level=(au + frame) % 6) for frame in range(4))
        path.write_text("".join(rows))


def test_facts():
    assert disfa_plus.FOLDS == disfa.FOLDS
    assert disfa_plus.AUS == disfa.AUS


@pytest.mark.parametrize(
    "row", ["{frame} {level}\n", "{frame:03d}.jpg   {level}\n", "{frame},{level}\n"]
)
def test_rows(tmp_path, row):
    write_trial(tmp_path, row=row)
    (clip,) = open_dataset("disfa-plus", tmp_path)
    assert (clip.subject, clip.name, clip.frame_ids) == ("SN003", "Smile", (0, 1, 2, 3))
    expected = [[(au + frame) % 6 for au in disfa.AUS] for frame in range(4)]
    assert clip.labels.values.tolist() == expected


def test_images_without_a_row_are_unknown(tmp_path):
    write_trial(tmp_path, images=range(6))
    (clip,) = open_dataset("disfa-plus", tmp_path)
    assert len(clip.images) == 6
    assert (clip.labels.values[4:] == -1).all()
    assert (clip.labels.values[:4] >= 0).all()


def test_images_from_1_and_labels_from_0(tmp_path):
    write_trial(tmp_path, images=range(1, 5))
    with pytest.raises(DataError, match="frame_offset 1 would match all"):
        open_dataset("disfa-plus", tmp_path)
    (clip,) = open_dataset("disfa-plus", tmp_path, frame_offset=1)
    assert clip.frame_ids == (1, 2, 3, 4)
    assert clip.labels.values[0].tolist() == [au % 6 for au in disfa.AUS]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2 6", "intensity '6' is not 0 to 5"),
        ("2", "is not `frame intensity`"),
        ("2 1 1", "is not `frame intensity`"),
        ("", "is not `frame intensity`"),
        ("x.jpg 1", "is not `frame intensity`"),
        ("1 1", "frame 1 comes twice"),
        ("2.5 1", "is not `frame intensity`"),
        ("2_0.jpg 1", "is not `frame intensity`"),
    ],
)
def test_wrong_line(tmp_path, line, complaint):
    write_trial(tmp_path)
    path = disfa_plus.label_path(tmp_path, "SN003", "Smile", 9)
    lines = path.read_text().splitlines()
    lines[2] = line
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"AU9\.txt, line 3: .*{complaint}"):
        open_dataset("disfa-plus", tmp_path)


def test_missing_files_and_folders(tmp_path):
    write_trial(tmp_path)
    write_trial(tmp_path, trial="Anger")
    (tmp_path / "Labels" / "SN003" / "Sad").mkdir()
    (tmp_path / "Images" / "SN003" / "Fear").mkdir()
    (tmp_path / "Images" / "SN014" / "Fear").mkdir(parents=True)
    content = find_content("disfa-plus", tmp_path)
    assert [clip.name for clip in content.clips] == ["Anger", "Smile"]
    assert ["SN003/Sad" in line for line in content.missing] == [True]
    assert len(content.surplus) == 2
    disfa_plus.label_path(tmp_path, "SN003", "Anger", 26).unlink()
    with pytest.raises(DataError, match=r"AU26\.txt: label file is missing"):
        open_dataset("disfa-plus", tmp_path)


def test_synthetic_trials_against_the_truth(synthetic_disfa_plus):
    clips = open_dataset("disfa-plus", synthetic_disfa_plus)
    assert len(clips) == 2
    for clip in clips:
        name = f"{clip.subject}_{clip.name}"
        truth = read_truth(synthetic_disfa_plus / "truth" / f"{name}.h5")
        listed = json.loads((synthetic_disfa_plus / "truth" / f"{name}.json").read_text())
        assert list(clip.frame_ids) == listed["numbers"]
        np.testing.assert_array_equal(clip.labels.values, truth.intensity)
