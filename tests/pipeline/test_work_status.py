"""`glee status`: what is made of what is planned, and who is at work, from the files alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from glee.cli import run
from glee.errors import DataError, OutputError, ShardError
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards
from glee.pipeline.work_folder import read_plan
from glee.pipeline.work_lock import work_in, work_status


@pytest.fixture(scope="module")
def work(synthetic_disfa, tmp_path_factory):
    out = tmp_path_factory.mktemp("status") / "work"
    options = PreprocessOptions(chunk_frames=20)
    preprocess("disfa", synthetic_disfa, out, options=options, workers=1, progress=False)
    return out


def test_made_planned_and_fitted(work, capsys):
    plan = read_plan(work)
    assert [(clip.frames, clip.shards) for clip in plan.clips] == [(36, 2), (36, 2)]
    assert run(["status", str(work)]) == 0
    out = capsys.readouterr().out
    assert "disfa: 2 subjects, 2 clips, 72 frames" in out
    assert "4 of 4 shards made (100 %), 2 of 2 clips whole" in out
    assert "0 of 4 shards fitted" in out
    assert "run: none at work" in out
    shard = list_shards(work)[0]
    content = shard.read_bytes()
    shard.unlink()
    assert any("3 of 4 shards made (75 %), 1 of 2" in line for line in work_status(work))
    shard.write_bytes(content)
    fit3d(work, workers=1, progress=False)
    assert "fit3d: 4 of 4 shards fitted" in work_status(work)


def test_who_is_at_work_and_who_was_killed(work):
    holder = (
        "import sys, time\n"
        "from glee.pipeline.work_lock import work_in\n"
        "with work_in(sys.argv[1], 'fit3d'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holder, str(work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        lines = "\n".join(work_status(work))
        assert f"run: fit3d on {os.uname().nodename}, pid {process.pid}, since" in lines
        process.kill()
    lines = "\n".join(work_status(work))
    assert f"none at work; fit3d on {os.uname().nodename}, pid {process.pid}" in lines
    assert "did not come to its end" in lines


def test_a_folder_that_is_taken_is_refused_before_anything_is_loaded(work, monkeypatch):
    """`preprocess` does not look for a detector first, which takes seconds."""
    monkeypatch.setattr(sys.modules[preprocess.__module__], "load_detector", None)
    with work_in(work, "fit3d"), pytest.raises(OutputError, match="another run .* \\(fit3d on "):
        preprocess("disfa", work, work, progress=False)


def test_what_is_no_work_folder(tmp_path):
    folder = tmp_path / "two words"
    with pytest.raises(DataError, match="no such folder; `glee preprocess` makes work folders"):
        work_status(folder)
    folder.mkdir()
    with pytest.raises(DataError, match=r"is no work folder; run .* --out '.*/two words'` first"):
        work_status(folder)


def test_before_the_plan_is_written(tmp_path):
    (tmp_path / "shards").mkdir()
    said = "0 shards made; not known of how many, "
    assert f"{said}it ended before the index was made" in work_status(tmp_path)[0]
    with work_in(tmp_path, "preprocess"):
        assert f"{said}still at the index" in work_status(tmp_path)[0]
    (tmp_path / "plan.json").write_text('{"format": 9}')
    with pytest.raises(ShardError, match="format 9"):
        work_status(tmp_path)
