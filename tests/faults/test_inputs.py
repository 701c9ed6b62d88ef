"""Damaged, renamed, duplicated and swapped inputs: said in one line, mended by a new run."""

from __future__ import annotations

import shutil

import pytest

from glee.errors import GleeError
from glee.pipeline.datasets import disfa as layout


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def rename(path):
    path.rename(path.with_name(f"x{path.name}"))


def duplicate(path):
    shutil.copy(path, path.with_name(f"{path.stem} (1){path.suffix}"))


def corrupt(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = (cut, empty, rename, duplicate, corrupt, replace_by_folder)


@pytest.mark.parametrize("what", ["video", "labels"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_damaged_input_is_said_and_mended(
    what, damage, again, stages, undisturbed, disfa, run_preprocess, tally, tmp_path
):
    work = tmp_path / "work"
    if again:
        shutil.copytree(undisturbed["preprocess"], work)
    path = layout.video_path(disfa, "SN001")
    if what == "labels":
        path = layout.label_path(disfa, "SN001", 6)
    whole = path.read_bytes()
    damage(path)
    try:
        run_preprocess(disfa, work)
        said = "SN001"
    except GleeError as error:
        said = str(error)
    assert "\n" not in said
    assert "SN001" in said
    if damage is duplicate:
        stages.compare("preprocess", work)
    if path.is_dir():
        path.rmdir()
    path.write_bytes(whole)
    run_preprocess(disfa, work)
    stages.compare("preprocess", work)
    tally[f"{what}: {damage.__name__}"] += 1


def test_two_subjects_videos_swapped(stages, undisturbed, disfa, run_preprocess, tally, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(undisturbed["preprocess"], work)
    one, two = sorted(layout.video_path(disfa, "SN001").parent.iterdir())
    for _ in range(2):
        aside = one.with_name("aside")
        one.rename(aside)
        two.rename(one)
        aside.rename(two)
        assert run_preprocess(disfa, work).kept == 0
    stages.compare("preprocess", work)
    tally["video: swapped"] += 1
