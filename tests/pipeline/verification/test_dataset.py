"""Verification of a dataset finds what is missing, surplus or misnumbered, and says so."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.pipeline.datasets import disfa as disfa_facts
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.clips import read_truth
from glee.pipeline.verification import verify_dataset

from .read_report import kinds, said


def test_a_dataset_in_order(synthetic_disfa):
    report = verify_dataset("disfa", synthetic_disfa)
    assert report.ok
    assert [(s.subject, s.clips, s.frames, s.labelled) for s in report.subjects] == [
        ("SN001", 1, 36, 36),
        ("SN006", 1, 36, 36),
    ]
    truth = [read_truth(path) for path in sorted((synthetic_disfa / "truth").iterdir())]
    intensity = np.concatenate([one.intensity for one in truth])
    for column, row in enumerate(report.aus):
        assert row.name == f"AU{disfa_facts.AUS[column]}"
        assert row.present == pytest.approx((intensity[:, column] >= 2).mean())
        assert sum(row.levels.values()) == 72
    assert "scaled to the labels' median" in said(report)
    assert "2 of 27 subjects" in said(report)
    assert json.loads(json.dumps(report.as_json()))["ok"] is True


def test_every_trouble_of_a_dataset_is_listed(disfa):
    disfa_facts.label_path(disfa, "SN001", 12).unlink()
    path = disfa_facts.label_path(disfa, "SN006", 4)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))
    (disfa / "ActionUnit_Labels" / "SN002").mkdir()
    (disfa / "Videos_LeftCamera" / "other.avi").write_bytes(b"")
    report = verify_dataset("disfa", disfa)
    assert not report.ok
    assert kinds(report) == {"clip", "missing"}
    text = said(report)
    assert "SN001_au12.txt: label file is missing" in text
    assert "6 of 36 frames of LeftVideoSN006_comp.avi have no labels (SN006_au4.txt ends)" in text
    assert "no video of the labelled subject SN002" in text
    assert "note, surplus" in text
    assert "other.avi" in text


def test_files_are_counted_not_names(tmp_path, disfa):
    """Of two files whose names were one, both are looked at."""
    (video, _) = sorted((disfa / "Videos_LeftCamera").iterdir())
    for name in ("P/a_b.avi", "P/a/b.avi"):
        (tmp_path / "R" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / "R" / name)
    report = verify_dataset("folder", tmp_path / "R")
    assert report.counts == {"files read": 2}
    assert [(s.subject, s.clips, s.frames) for s in report.subjects] == [("P", 2, 72)]


def test_a_shift_in_the_middle_of_a_clip(tmp_path):
    """Images 0 to 25, rows 1 to 26, of which 4 to 23 are coded."""
    folder = tmp_path / "F001" / "T1"
    folder.mkdir(parents=True)
    for number in range(26):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8\xff")
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    path.parent.mkdir(parents=True)
    rows = (f"{n}" + f",{n % 2 if 4 <= n <= 23 else 9}" * 24 for n in range(1, 27))
    path.write_text("\n".join([",".join(map(str, range(25))), *rows]))
    report = verify_dataset("bp4d", tmp_path)
    assert not report.ok
    assert "frame_offset -1 would match all" in said(report)
    with pytest.raises(DataError, match="frame_offset -1 would match all"):
        preprocess("bp4d", tmp_path, tmp_path / "work", workers=1, progress=False)
    assert not (tmp_path / "work" / "shards").exists()
    (folder / "25.jpg").rename(folder / "26.jpg")
    report = verify_dataset("bp4d", tmp_path)
    assert "1 rows that are not coded have no image, first 25" in said(report)


def test_labels_that_go_on_beyond_the_video(disfa):
    for au in disfa_facts.AUS:
        with disfa_facts.label_path(disfa, "SN001", au).open("a") as file:
            file.write("37,0\n")
    assert verify_dataset("disfa", disfa).ok
    for au in disfa_facts.AUS:
        with disfa_facts.label_path(disfa, "SN001", au).open("a") as file:
            file.write("38,0\n")
    report = verify_dataset("disfa", disfa)
    assert "2 rows of labels beyond the 36 frames" in said(report)
    assert not report.ok


def test_a_label_file_that_is_a_copy_of_another(disfa):
    for subject in ("SN001", "SN006"):
        shutil.copy(
            disfa_facts.label_path(disfa, subject, 1), disfa_facts.label_path(disfa, subject, 2)
        )
    report = verify_dataset("disfa", disfa)
    assert not report.ok
    assert "AU1 and AU2 are equal in every frame" in said(report)


def test_files_that_are_no_images_and_options(tmp_path):
    folder = tmp_path / "F001" / "T1"
    folder.mkdir(parents=True)
    header = ",".join(map(str, range(25)))
    rows = "".join(f"{n}{',0' * 24}\n" for n in (7, 8, 11))
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"{header}\n{rows}")
    for number in (7, 8, 11):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8\xff" if number > 7 else b"<html>")
    report = verify_dataset("bp4d", tmp_path)
    assert report.counts == {"files read": 3}
    assert "1 of 3 files are no images, first 7.jpg" in said(report)
    assert "coded frames in 2 runs" in said(report)
    assert "AU1 is 0 in every frame" in said(report)
    assert kinds(report) == {"image"}
    (folder / "7.jpg").unlink()
    (folder / "9.jpg").write_bytes(b"")
    (folder / "12.jpg").write_bytes(b"")
    report = verify_dataset("bp4d", tmp_path)
    assert "frame_offset 1 would match all" in said(report)
    with pytest.raises(UsageError, match="no option speed"):
        verify_dataset("bp4d", tmp_path, dataset_options={"speed": 1})
    assert kinds(verify_dataset("disfa", tmp_path)) == {"dataset"}
