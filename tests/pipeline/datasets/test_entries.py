"""Copies of datasets with other names: read where one is meant, else the near miss is named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.datasets import disfa, find_content, open_dataset
from glee.pipeline.datasets.entries import near_miss, plain_name

from .test_bp4d import write_clip
from .test_disfa import make_labels
from .test_disfa_plus import write_trial


def renamed(path, name):
    """Give an entry another name; through a third one, for systems that ignore capitals."""
    passing = path.with_name("passing")
    path.rename(passing)
    return passing.rename(path.with_name(name))


def message(name, root, **options):
    with pytest.raises(DataError) as caught:
        open_dataset(name, root, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_disfa_in_other_capitals(tmp_path):
    values = make_labels(tmp_path)
    renamed(tmp_path / "Videos_LeftCamera" / "LeftVideoSN001_comp.avi", "LEFTVIDEOSN001_COMP.AVI")
    renamed(tmp_path / "Videos_LeftCamera", "videos_leftcamera")
    for path in list((tmp_path / "ActionUnit_Labels" / "SN001").iterdir()):
        renamed(path, path.name.upper().replace("AU", "AU0"))
    renamed(tmp_path / "ActionUnit_Labels" / "SN001", "sn001")
    renamed(tmp_path / "ActionUnit_Labels", "ACTIONUNIT_LABELS")
    content = find_content("disfa", tmp_path)
    assert (content.missing, content.surplus) == ((), ())
    clip = content.clips[0].read()
    assert (clip.subject, clip.name) == ("SN001", "LeftVideoSN001_comp")
    assert clip.source.is_file()
    np.testing.assert_array_equal(clip.labels.values, values)


@pytest.mark.parametrize("suffix", ["mp4", "MP4", "mkv", "mov"])
def test_disfa_converted_to_another_container(tmp_path, suffix):
    make_labels(tmp_path)
    path = disfa.video_path(tmp_path, "SN001")
    path.rename(path.with_suffix(f".{suffix}"))
    (clip,) = open_dataset("disfa", tmp_path)
    assert (clip.name, clip.source.name) == ("LeftVideoSN001_comp", f"LeftVideoSN001_comp.{suffix}")


def test_two_videos_of_a_subject(tmp_path):
    make_labels(tmp_path)
    path = disfa.video_path(tmp_path, "SN001")
    path.with_suffix(".mp4").write_bytes(b"")
    content = find_content("disfa", tmp_path)
    assert content.clips[0].read().source == path
    assert "another video of SN001 beside LeftVideoSN001_comp.avi" in content.surplus[0]
    path.rename(path.with_suffix(".mkv"))
    text = message("disfa", tmp_path)
    assert "LeftVideoSN001_comp.mkv and LeftVideoSN001_comp.mp4 could both be" in text


def test_right_camera_of_disfa(tmp_path):
    make_labels(tmp_path)
    left, right = tmp_path / "Videos_LeftCamera", tmp_path / "Videos_RightCamera"
    shutil.copytree(left, right)
    (left / "RightVideoSN001_comp.avi").write_bytes(b"")
    surplus = " | ".join(find_content("disfa", tmp_path).surplus)
    assert "Videos_RightCamera: videos of the right camera; not used" in surplus
    assert "RightVideoSN001_comp.avi: a video of the right camera; not used" in surplus
    shutil.rmtree(left)
    text = message("disfa", tmp_path)
    assert "Videos_RightCamera, expected Videos_LeftCamera" in text
    assert "left camera" in text


@pytest.mark.parametrize(
    "name", ["SN001.avi", "LeftVideoSN001.avi", "LeftVideoSN001_comp_.avi", "sn001_left.mp4"]
)
def test_videos_with_other_names(tmp_path, name):
    make_labels(tmp_path)
    disfa.video_path(tmp_path, "SN001").rename(tmp_path / "Videos_LeftCamera" / name)
    text = message("disfa", tmp_path)
    assert f"found {name}, expected LeftVideoSN001_comp.avi" in text


@pytest.mark.parametrize("name", ["ActionUnits_Labels", "ActionUnitLabels", "AU_Labels", "Labels"])
def test_label_folder_spelt_otherwise(tmp_path, name):
    make_labels(tmp_path)
    (tmp_path / "ActionUnit_Labels").rename(tmp_path / name)
    text = message("disfa", tmp_path)
    assert f"found {tmp_path / name}, expected ActionUnit_Labels" in text


@pytest.mark.parametrize(
    "name", ["SN001_au12.csv", "au12.txt", "SN001-AU12.txt", "SN001_au12_.txt"]
)
def test_label_file_spelt_otherwise(tmp_path, name):
    make_labels(tmp_path)
    path = disfa.label_path(tmp_path, "SN001", 12)
    path.rename(path.with_name(name))
    assert f"{name}, expected SN001_au12.txt" in message("disfa", tmp_path)


def test_another_aus_file_is_no_near_miss(tmp_path):
    make_labels(tmp_path)
    disfa.label_path(tmp_path, "SN001", 12).unlink()
    assert "every subject needs one" in message("disfa", tmp_path)
    assert near_miss(disfa.label_path(tmp_path, "SN001", 12)) == ""


def test_root_too_high_too_low_or_flat(tmp_path):
    root = tmp_path / "data" / "DISFA"
    root.mkdir(parents=True)
    make_labels(root)
    for given in (tmp_path / "data", root / "Videos_LeftCamera", root / "ActionUnit_Labels"):
        assert f"give {root}" in message("disfa", given)
    video = disfa.video_path(root, "SN001")
    video.rename(root / video.name)
    assert f"expected Videos_LeftCamera/{video.name}" in message("disfa", root)


def test_disfa_plus_in_other_capitals(tmp_path):
    write_trial(tmp_path)
    renamed(tmp_path / "Images" / "SN003" / "Smile", "smile")
    renamed(tmp_path / "Images" / "SN003", "sn003")
    renamed(tmp_path / "Images", "images")
    renamed(tmp_path / "Labels", "LABELS")
    for path in list((tmp_path / "LABELS" / "SN003" / "Smile").iterdir()):
        renamed(path, path.name.lower())
    (clip,) = open_dataset("disfa-plus", tmp_path)
    assert (clip.subject, clip.name, len(clip.images)) == ("SN003", "smile", 4)
    assert (clip.labels.values >= 0).all()


def test_disfa_plus_with_other_names(tmp_path):
    root = tmp_path / "DISFAPlus"
    root.mkdir()
    write_trial(root)
    assert f"give {root}" in message("disfa-plus", tmp_path)
    (root / "Images").rename(root / "Image")
    assert "Image, expected Images" in message("disfa-plus", root)
    (root / "Image").rename(root / "Images")
    path = root / "Labels" / "SN003" / "Smile" / "AU12.txt"
    path.rename(path.with_suffix(".csv"))
    assert "AU12.csv, expected AU12.txt" in message("disfa-plus", root)


def test_bp4d_in_other_capitals_and_without_zeros(tmp_path):
    path = write_clip(tmp_path)
    renamed(path, "f001_t01.CSV")
    renamed(tmp_path / "AUCoding" / "AU_OCC", "au_occ")
    renamed(tmp_path / "AUCoding", "aucoding")
    renamed(tmp_path / "F001" / "T1", "t1")
    renamed(tmp_path / "F001", "f1")
    content = find_content("bp4d", tmp_path)
    assert (content.missing, content.surplus) == ((), ())
    clip = content.clips[0].read()
    assert (clip.subject, clip.name, clip.images) == ("F001", "T1", ("10.jpg", "11.jpg"))


def test_bp4d_with_other_names(tmp_path):
    root = tmp_path / "BP4D"
    root.mkdir()
    path = write_clip(root)
    assert f"give {root}" in message("bp4d", tmp_path)
    path.rename(path.with_name("F001-T1.csv"))
    assert "F001-T1.csv, expected F001_T1.csv" in message("bp4d", root)
    path.with_name("F001-T1.csv").rename(path)
    (root / "F001" / "T1").rename(root / "F001" / "Task1")
    assert "Task1, expected T1" in message("bp4d", root)
    (root / "F001" / "Task1").rename(root / "F001" / "T1")
    (root / "AUCoding" / "AU_OCC").rename(root / "AUCoding" / "AU-Occ")
    assert "AU-Occ, expected AU_OCC" in message("bp4d", root)


def test_two_entries_that_could_be_meant(tmp_path):
    write_clip(tmp_path)
    (tmp_path / "F001").rename(tmp_path / "f001")
    try:
        (tmp_path / "F01").mkdir()
    except FileExistsError:
        pytest.skip("this system ignores capitals")
    assert "F01 and f001 could both be F001" in message("bp4d", tmp_path)


def test_plain_names():
    assert plain_name("SN001_au01.TXT") == plain_name("sn1_AU1.txt")
    assert plain_name("SN001") != plain_name("SN010")
    assert plain_name("T0") == "t0"


def test_what_a_folder_of_something_else_holds_is_said(tmp_path):
    for name in ("disfa", "disfa-plus", "bp4d"):
        assert "it is empty" in message(name, tmp_path)
    write_trial(tmp_path)
    (tmp_path / "Images").rename(tmp_path / "Pictures")
    for name in ("disfa-plus", "bp4d"):
        assert "it holds Labels, Pictures" in message(name, tmp_path)
    # The labels of DISFA lie in a folder that is called nearly so.
    assert "Labels, expected ActionUnit_Labels" in message("disfa", tmp_path)
