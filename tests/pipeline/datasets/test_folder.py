"""The folder reader: videos, image folders and single files, in natural order, uniquely named."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from glee.errors import DataError
from glee.pipeline.clips import DatasetContent, FoundClip
from glee.pipeline.datasets import find_content, folder, open_dataset
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


def test_linked_folders_are_followed_under_their_own_names(tmp_path):
    touch(
        tmp_path, "disk/subject7/talk.mp4", "disk/subject7/faces/1.png", "disk/subject7/faces/2.png"
    )
    root = tmp_path / "study"
    root.mkdir()
    (root / "anna").symlink_to(tmp_path / "disk" / "subject7")
    (root / "ben.mp4").symlink_to(tmp_path / "disk" / "subject7" / "talk.mp4")
    assert named(root) == [
        ("anna", "faces", "images", "anna/faces"),
        ("anna", "talk", "video", "anna/talk.mp4"),
        ("ben", "ben", "video", "ben.mp4"),
    ]
    (tmp_path / "linked").symlink_to(root)
    assert named(tmp_path / "linked") == named(root)
    (clip,) = open_dataset("folder", root / "ben.mp4")
    assert (clip.subject, clip.name, clip.source) == ("ben", "ben", root / "ben.mp4")


def test_loops_are_named_and_end(tmp_path):
    touch(tmp_path, "anna/a.mp4")
    (tmp_path / "anna" / "up").symlink_to("..")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    content = find_content("folder", tmp_path)
    assert [(clip.subject, clip.name) for clip in content.clips] == [("anna", "a")]
    assert f"{tmp_path / 'anna' / 'up'}: a loop, leads back to {tmp_path}" in content.surplus[0]
    assert f"{tmp_path / 'round'}: cannot be read" in content.missing[0]


def test_a_folder_under_two_names_is_read_once(tmp_path):
    """The same person under two names would stand in training and test."""
    touch(tmp_path, "root/carl/a.mp4", "disk/d/b.mp4")
    (tmp_path / "root" / "anna").symlink_to("carl")
    (tmp_path / "root" / "ben").symlink_to(tmp_path / "disk" / "d")
    (tmp_path / "root" / "dora").symlink_to(tmp_path / "disk" / "d")
    content = find_content("folder", tmp_path / "root")
    assert [(clip.subject, clip.name) for clip in content.clips] == [("ben", "b"), ("carl", "a")]
    anna, dora = content.surplus
    assert f"anna: the same folder as {tmp_path / 'root' / 'carl'}" in anna
    assert f"dora: the same folder as {tmp_path / 'root' / 'ben'}" in dora


def test_many_links_between_folders_end(tmp_path):
    for one in range(12):
        touch(tmp_path, f"s{one}/v.mp4")
        for other in range(12):
            (tmp_path / f"s{one}" / f"to{other}").symlink_to(tmp_path / f"s{other}")
    content = find_content("folder", tmp_path)
    assert len(content.clips) == 12
    assert len(content.surplus) == 144


def test_kinds_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, "a.mp4", "IMG_1.HEIC", "b/IMG_2.heif", "c.avif", "n.txt", "b/t.json", "README")
    heif, others = find_content("folder", tmp_path).surplus
    assert (
        "3 HEIC or AVIF images are not read; convert them to JPEG or PNG: c.avif, IMG_1.HEIC"
        in heif
    )
    assert "3 files are neither videos nor images by name (1 .json, 1 .txt, 1 no suffix)" in others
    assert "b/t.json" in others


def test_heic_alone(tmp_path):
    touch(tmp_path, "x.heic", "photos/1.heic")
    for path in (tmp_path / "x.heic", tmp_path / "photos"):
        with pytest.raises(DataError, match="HEIC .* convert them to JPEG or PNG"):
            open_dataset("folder", path)
    # FFmpeg takes it, or one tile of it, for a video.
    (tmp_path / "noname").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    with pytest.raises(DataError, match="noname: HEIC"):
        open_dataset("folder", tmp_path / "noname")


def test_pipes_and_dead_links_are_named(tmp_path):
    touch(tmp_path, "a/1.png", "a/3.png")
    os.mkfifo(tmp_path / "a" / "2.png")
    (tmp_path / "a" / "4.png").symlink_to("gone.png")
    content = find_content("folder", tmp_path)
    with pytest.raises(DataError, match=r"2\.png: is no file but a pipe or device"):
        open_dataset("folder", tmp_path / "a" / "2.png")
    pipe, dead = content.surplus
    assert "2.png: is no file but a pipe or device" in pipe
    assert "4.png: is a link that leads nowhere" in dead
    assert content.clips[0].read().images == ("1.png", "3.png", "4.png")


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    """The system's refusal is imitated, since the tests may run as root."""
    touch(tmp_path, "anna/a.mp4", "ben/b.mp4", "ben/c.mp4")
    scan, access = os.scandir, os.access

    def refusing(path):
        if Path(path).name == "anna":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(folder.os, "scandir", refusing)
    monkeypatch.setattr(
        folder.os, "access", lambda path, mode: access(path, mode) and path.name != "c.mp4"
    )
    content = find_content("folder", tmp_path)
    assert [clip.name for clip in content.clips] == ["b", "c"]
    assert content.missing == (
        f"{tmp_path / 'anna'}: cannot be read (Permission denied); left out",
    )
    assert content.surplus == (f"{tmp_path / 'ben' / 'c.mp4'}: cannot be read (no permission)",)
    with pytest.raises(DataError, match="anna: cannot be read"):
        open_dataset("folder", tmp_path / "anna")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permissions(tmp_path):
    touch(tmp_path, "anna/a.mp4", "ben/b.mp4")
    (tmp_path / "anna").chmod(0)
    try:
        content = find_content("folder", tmp_path)
    finally:
        (tmp_path / "anna").chmod(0o700)
    assert [clip.name for clip in content.clips] == ["b"]
    assert "anna: cannot be read (Permission denied)" in content.missing[0]


def test_no_two_paths_give_one_name(tmp_path):
    touch(tmp_path, "P/a_b.avi", "P/a/b.avi")
    touch(tmp_path, "Q/a_b.avi", "Q/a/b.avi", "Q/Q_a_b.avi.avi", "Q/Q_a%5Fb.avi.avi")
    touch(tmp_path, "R/a_/b.avi", "R/a/_b.avi", "R/a__b.avi", "R/a%5F/b.avi", "R/a_/b.mp4")
    touch(tmp_path, "S/a_b/1.png", "S/a/b/1.png", "S/a_b/2.png", "S/a/b/2.png", "S/a_b.avi")
    content = find_content("folder", tmp_path)
    assert len(content.clips) == 14
    assert len({(clip.subject, clip.name) for clip in content.clips}) == 14
    sources = [clip.read() for clip in content.clips]
    assert len({(clip.source, clip.images) for clip in sources}) == 14
    assert {clip.subject for clip in content.clips} == {"P", "Q", "R", "S"}


def test_random_trees_have_names_of_their_own(tmp_path):
    draw = random.Random(3)
    for number in range(40):
        root = tmp_path / str(number)
        for _ in range(30):
            parts = ["".join(draw.choices("a_%5F", k=draw.randint(1, 3))) for _ in range(3)]
            suffix = draw.choice([".avi", ".mp4"])
            try:
                touch(root, "/".join(parts[: draw.randint(1, 3)]) + suffix)
            except (FileExistsError, NotADirectoryError):
                continue
        files = sum(path.is_file() for path in root.rglob("*"))
        clips = find_content("folder", root).clips
        assert len({(clip.subject, clip.name) for clip in clips}) == len(clips) == files


def test_two_clips_of_one_name_are_an_error(tmp_path, monkeypatch):
    """Whatever reader finds them."""
    twice = FoundClip("P", "a", lambda: None)
    monkeypatch.setattr(folder, "find_content", lambda root: DatasetContent((twice, twice)))
    with pytest.raises(DataError, match="2 clips of subject P are called a; rename their files"):
        find_content("folder", tmp_path)
