"""Ctrl-C while processes of a pool are at work: they clean up, start nothing more, and end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from glee.pipeline.cluster.interruptible_pool import map_in_processes

PROGRAM = """
import sys, time
from pathlib import Path
from glee.pipeline.interruptible_pool import map_in_processes

def job(number):
    folder = Path(sys.argv[1])
    (folder / f"begun{number}").touch()
    try:
        time.sleep(60)
    finally:
        (folder / f"cleaned{number}").touch()

if __name__ == "__main__":
    map_in_processes(job, range(8), 2)
"""


def test_the_results_come_in_order():
    assert map_in_processes(abs, [-3, 2, -1], 2) == [3, 2, 1]


def test_what_a_job_raises_is_raised():
    with pytest.raises(TypeError):
        map_in_processes(abs, [1, "a"], 2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interruption_ends_the_jobs_at_work_and_begins_no_other(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    running = subprocess.Popen(
        [sys.executable, program, tmp_path], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("begun*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert "KeyboardInterrupt" in said
    begun = {path.name.removeprefix("begun") for path in tmp_path.glob("begun*")}
    cleaned = {path.name.removeprefix("cleaned") for path in tmp_path.glob("cleaned*")}
    assert begun == cleaned
    assert len(begun) == 2
