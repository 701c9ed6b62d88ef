"""The work folder: options are stated once, one run at a time, nothing half-written stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glee.errors import OptionsError, OutputError
from glee.pipeline.work_folder import read_options, state_options, work_in


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
        "from glee.pipeline.work_folder import work_in\n"
        "with work_in(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="another run is at work"), work_in(tmp_path):
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
