"""The folder reader: videos, image folders and single files, in natural order, uniquely named."""

from __future__ import annotations

import random

import pytest

from glee.errors import DataError
from glee.pipeline.datasets import open_dataset
from glee.pipeline.datasets.folder import natural_key


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def named(root):
    return [(c.subject, c.name, c.kind, c.relative_source) for c in open_dataset("folder", root)]


def test_videos_and_image_folders_below_a_path(tmp_path):
    touch(tmp_path, "b.mp4", "anna/first.AVI", "anna/day2/x.mkv", "anna/pictures/1.png")
    touch(tmp_path, "anna/pictures/2.JPG", "notes.txt", ".hidden.mp4", ".cache/c.mp4")
    assert named(tmp_path) == [
        ("anna", "day2_x", "video", "anna/day2/x.mkv"),
        ("anna", "first", "video", "anna/first.AVI"),
        ("anna", "pictures", "images", "anna/pictures"),
        ("b", "b", "video", "b.mp4"),
    ]
    clips = open_dataset("folder", tmp_path)
    assert all(clip.labels is None and clip.first_frame_id == 0 for clip in clips)


def test_images_come_in_natural_order(tmp_path):
    names = [f"f{n}.png" for n in (1, 2, 9, 10, 11, 100)]
    shuffled = names.copy()
    random.Random(2).shuffle(shuffled)
    touch(tmp_path, *(f"s/{name}" for name in shuffled))
    (clip,) = open_dataset("folder", tmp_path)
    assert list(clip.images) == names


def test_natural_order_is_total():
    names = ["a1", "a01", "A1", "a", "1a", "10", "9", ""]
    assert len({natural_key(name) for name in names}) == len(names)
    assert sorted(names, key=natural_key) == ["", "1a", "9", "10", "a", "A1", "a01", "a1"]


def test_one_file(tmp_path):
    touch(tmp_path, "x/clip.mp4", "x/face.jpeg", "x/note.txt")
    (clip,) = open_dataset("folder", tmp_path / "x/clip.mp4")
    assert (clip.subject, clip.name, clip.kind) == ("clip", "clip", "video")
    (clip,) = open_dataset("folder", tmp_path / "x/face.jpeg")
    assert (clip.subject, clip.kind, clip.images) == ("face", "images", ("face.jpeg",))
    assert clip.relative_source == "face.jpeg"
    with pytest.raises(DataError, match=r"note\.txt: is neither a video nor an image"):
        open_dataset("folder", tmp_path / "x/note.txt")


def test_equal_names_are_told_apart(tmp_path):
    touch(tmp_path, "a.mp4", "a.avi", "a.jpg", "s/c.mp4", "s/c/1.png", "s/c/2.png")
    clips = open_dataset("folder", tmp_path)
    names = {(clip.subject, clip.name) for clip in clips}
    assert len(names) == len(clips) == 5
    assert ("a.mp4", "a.mp4") in names


def test_nothing_there(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="holds no video and no image"):
        open_dataset("folder", tmp_path)
