"""The work folder: options are stated once, one run at a time, nothing half-written stays."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from glee.errors import OptionsError, OutputError
from glee.pipeline import work_lock
from glee.pipeline.work_folder import read_options, state_options
from glee.pipeline.work_lock import work_in


def test_options_are_stated_once(tmp_path):
    assert read_options(tmp_path) == {}
    state_options(tmp_path, "preprocess", {"a": 1, "b": "x", "c": None}, overwrite=False)
    state_options(tmp_path, "preprocess", {"a": 1, "b": "x", "c": None}, overwrite=False)
    state_options(tmp_path, "fit3d", {"weight": 1e-4}, overwrite=False)
    assert read_options(tmp_path) == {
        "preprocess": {"a": 1, "b": "x"},
        "fit3d": {"weight": 1e-4},
    }


def test_other_options_stop_and_say_what_differs(tmp_path):
    state_options(tmp_path, "preprocess", {"a": 1, "b": "x", "c": 5}, overwrite=False)
    before = (tmp_path / "glee.toml").read_bytes()
    with pytest.raises(OptionsError) as caught:
        state_options(tmp_path, "preprocess", {"a": 2, "b": "x", "d": True}, overwrite=False)
    message = str(caught.value)
    assert "a is 1 there, 2 now" in message
    assert "c is 5 there, 'not set' now" in message
    assert "d is 'not set' there, True now" in message
    assert "b is" not in message
    assert "\n" not in message
    assert (tmp_path / "glee.toml").read_bytes() == before
    state_options(tmp_path, "preprocess", {"a": 2}, overwrite=True)
    assert read_options(tmp_path) == {"preprocess": {"a": 2}}


@pytest.mark.parametrize("content", ["not toml at all", "format = 99\n", "format = 1\nx = 3\n"])
def test_options_file_that_cannot_be_read(tmp_path, content):
    (tmp_path / "glee.toml").write_text(content)
    with pytest.raises(OptionsError, match=r"glee\.toml"):
        read_options(tmp_path)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for work in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="choose a folder that can be written"), work_in(work):
            pass


def test_one_run_at_a_time_and_the_lock_ends_with_the_process(tmp_path):
    holder = (
        "import sys, time\n"
        "from glee.pipeline.work_lock import work_in\n"
        "with work_in(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=rf"pid {process.pid}"), work_in(tmp_path):
            pass
        process.kill()
    with work_in(tmp_path):
        pass


def test_temporaries_of_killed_runs_go(tmp_path):
    stale = tmp_path / "shards" / "s" / "c" / ".000000.h5.123.partial"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half")
    with work_in(tmp_path):
        assert not stale.exists()


def test_temporaries_of_workers_that_were_killed_go_with_the_run(tmp_path):
    left = tmp_path / "shards" / "s" / "c" / ".000000.h5.node1.123.partial"
    with work_in(tmp_path):
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
    assert not left.exists()


def holder(host, process):
    return json.dumps({"stage": "fit3d", "host": host, "pid": process, "since": "today"})


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(work_lock.fcntl, "flock", refuse)


def test_without_locks_the_lock_file_says_who_is_at_work(tmp_path, no_locks):
    for host, process in (("node1", 77), (socket.gethostname(), os.getppid())):
        (tmp_path / ".glee.lock").write_text(holder(host, process))
        with pytest.raises(OutputError) as caught, work_in(tmp_path):
            pass
        assert f"fit3d on {host}, pid {process}" in str(caught.value)
        assert f"remove {tmp_path / '.glee.lock'}" in str(caught.value)


def test_without_locks_the_lock_of_a_dead_run_is_taken_over(tmp_path, no_locks):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / ".glee.lock").write_text(holder(socket.gethostname(), dead.pid))
    with work_in(tmp_path, "preprocess"):
        assert json.loads((tmp_path / ".glee.lock").read_text())["pid"] == os.getpid()
    assert (tmp_path / ".glee.lock").read_text() == ""
