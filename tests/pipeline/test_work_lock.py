"""One run at a time in a work folder, and no run says that it is done where its folder went."""

from __future__ import annotations

import shutil

import pytest

from glee.cli import run
from glee.errors import OutputError
from glee.pipeline import work_lock
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.work_lock import LOCK_FILE, read_holder, work_in


def move(work):
    work.rename(work.with_name("moved"))


def replace(work):
    move(work)
    shutil.copytree(work.with_name("moved"), work)


def remove(work):
    shutil.rmtree(work)


def delete_lock(work):
    (work / LOCK_FILE).unlink()


def replace_lock(work):
    delete_lock(work)
    (work / LOCK_FILE).touch()


@pytest.mark.parametrize(
    ("accident", "message"),
    [
        (move, "work: this work folder was moved"),
        (replace, "work: this work folder was moved"),
        (remove, "work: this work folder was moved"),
        (delete_lock, r"\.glee\.lock: the lock was removed"),
        (replace_lock, r"\.glee\.lock: the lock was removed"),
    ],
)
@pytest.mark.parametrize("when", ["between two tasks", "at the end"])
def test_a_folder_that_went_ends_the_run(tmp_path, monkeypatch, accident, message, when):
    monkeypatch.setattr(work_lock, "_CHECK_EVERY", 0.0)
    work, done = tmp_path / "work", []

    def hold():
        with work_in(work, "preprocess") as held, open_cluster("local", 1) as cluster:
            for outcome in held.watched(cluster).run(abs, range(6)):
                done.append(outcome.result)
                if when == "between two tasks" and len(done) == 2:
                    accident(work)
            if when == "at the end":
                accident(work)

    with pytest.raises(OutputError, match=message) as caught:
        hold()
    assert "\n" not in str(caught.value)
    assert len(done) == (2 if when == "between two tasks" else 6)


def test_a_folder_that_stays_is_no_accident(tmp_path):
    with work_in(tmp_path / "work", "preprocess") as held:
        (held.path / "shards" / "s").mkdir()
        held.check()
    with work_in(tmp_path / "work", "fit3d"):
        pass


def test_what_a_lock_says_does_not_reach_the_terminal_as_it_is(tmp_path, capsys):
    (tmp_path / "shards").mkdir()
    trap = (
        '{"stage": "\\u001b]0;owned\\u0007\\u001b[31mfit", "host": "a", "pid": "1", "since": "x"}'
    )
    (tmp_path / LOCK_FILE).write_text(trap)
    holder = read_holder(tmp_path / LOCK_FILE)
    assert holder["stage"] == "\\x1b]0;owned\\x07\\x1b[31mfit"
    assert run(["status", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_names_in_errors_do_not_reach_the_terminal_as_they_are(tmp_path, capsys):
    assert run(["status", str(tmp_path / "a\x1b[31mb\u202e")]) != 0
    said = capsys.readouterr().err
    assert "a\\x1b[31mb\\u202e" in said
    assert said.count("\n") == 1
