"""The DISFA reader: labels by AU number, parts of the dataset, and files that are wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.pipeline.datasets import DATASETS, disfa, open_dataset


def make_labels(root, subject="SN001", frames=6):
    """Intensities that tell their AU and frame apart; returns (frames, 12)."""
    values = np.array(
        [[(au + frame) % 6 for au in disfa.AUS] for frame in range(frames)], dtype=np.int8
    )
    for column, au in enumerate(disfa.AUS):
        path = disfa.label_path(root, subject, au)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{i + 1},{v}\n" for i, v in enumerate(values[:, column])))
    video = disfa.video_path(root, subject)
    video.parent.mkdir(exist_ok=True)
    video.write_bytes(b"")
    return values


def test_facts_agree_with_each_other():
    assert len(disfa.SUBJECTS) == 27
    assert sorted(sum(disfa.FOLDS, ())) == sorted(disfa.SUBJECTS)
    assert set(disfa.AUS_USED) <= set(disfa.AUS)
    assert (len(disfa.AUS), len(disfa.AUS_USED)) == (12, 8)
    assert set(disfa.KNOWN_TROUBLE) <= set(disfa.SUBJECTS)
    for runs in disfa.KNOWN_TROUBLE.values():
        numbers = [number for run in runs for number in run]
        assert numbers == sorted(numbers)
        assert 1 <= numbers[0] <= numbers[-1] <= disfa.FRAME_COUNT


def test_columns_follow_au_numbers_not_file_names(tmp_path):
    values = make_labels(tmp_path)
    (clip,) = open_dataset("disfa", tmp_path)
    assert clip.labels.au_names == tuple(
        f"AU{n}" for n in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    )
    np.testing.assert_array_equal(clip.labels.values, values)
    assert (clip.subject, clip.name, clip.kind) == ("SN001", "LeftVideoSN001_comp", "video")
    assert clip.first_frame_id == 1
    assert clip.relative_source == "Videos_LeftCamera/LeftVideoSN001_comp.avi"


def test_some_subjects_will_do_and_come_in_order(tmp_path):
    for subject in ("SN032", "SN002"):
        make_labels(tmp_path, subject)
    disfa.video_path(tmp_path, "SN014").write_bytes(b"")
    assert [clip.subject for clip in open_dataset("disfa", tmp_path)] == ["SN002", "SN032"]


def test_missing_label_file(tmp_path):
    make_labels(tmp_path)
    disfa.label_path(tmp_path, "SN001", 12).unlink()
    with pytest.raises(DataError, match=r"SN001_au12\.txt: label file is missing"):
        open_dataset("disfa", tmp_path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("3,7", "line 3: intensity '7' is not 0 to 5"),
        ("3,-1", "line 3: intensity '-1' is not"),
        ("3,x", "line 3: intensity 'x' is not"),
        ("3,1.5", "line 3: intensity '1.5' is not"),
        ("3", "line 3: '3' is not"),
        ("3,1,1", "line 3: '3,1,1' is not"),
        ("2,1", "line 3: frame 2 where 3 was expected"),
        ("4,1", "line 3: frame 4 where 3 was expected"),
        ("", "line 3: '' is not"),
        ("3,\u0665", "line 3: intensity '\u0665' is not"),
        ("3_0,1", "line 3: '3_0,1' is not `frame,intensity`"),
        ("3,0_1", "line 3: intensity '0_1' is not"),
    ],
)
def test_wrong_line(tmp_path, line, complaint):
    make_labels(tmp_path)
    path = disfa.label_path(tmp_path, "SN001", 9)
    lines = path.read_text().splitlines()
    lines[2] = line
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"SN001_au9\.txt.*{re.escape(complaint)}") as caught:
        open_dataset("disfa", tmp_path)
    assert "\n" not in str(caught.value)


def test_windows_line_ends_and_blank_end(tmp_path):
    values = make_labels(tmp_path)
    path = disfa.label_path(tmp_path, "SN001", 1)
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode() + b"\r\n\r\n")
    (clip,) = open_dataset("disfa", tmp_path)
    np.testing.assert_array_equal(clip.labels.values, values)


def test_shortest_label_file_is_named(tmp_path):
    make_labels(tmp_path)
    path = disfa.label_path(tmp_path, "SN001", 20)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    (clip,) = open_dataset("disfa", tmp_path)
    assert len(clip.labels.values) == 4
    assert clip.labels.shortest.name == "SN001_au20.txt"


def test_no_videos_and_no_folder(tmp_path):
    with pytest.raises(DataError, match="Videos_LeftCamera"):
        open_dataset("disfa", tmp_path)
    with pytest.raises(DataError, match="nowhere"):
        open_dataset("disfa", tmp_path / "nowhere")


def test_unknown_dataset_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"'disfaa' is unknown.*disfa.*folder"):
        open_dataset("disfaa", tmp_path)
    assert {"disfa", "folder"} <= set(DATASETS)
