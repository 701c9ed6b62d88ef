"""A terminal that is closed while a run is at work in it: what is made stays, the rest follows."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios

import psutil
import pytest

from glee.pipeline.shards.shard import list_shards
from glee.pipeline.work_lock import work_status

NAP = 0.1  # seconds of a face, so that there is a while between the first shard and the last


def in_a_terminal(command, *, ignoring):
    """A process whose terminal is a new one, and the other end of that."""
    ours, theirs = pty.openpty()

    def own():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        # As nohup does, or not: these tests may run under nohup themselves.
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)

    environment = {**os.environ, "STEADY_NAP": str(NAP)}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, preexec_fn=own, env=environment, **streams)
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize("ignoring", [False, True], ids=["plain", "nohup"])
def test_a_closed_terminal(stages, wait_until, tmp_path, ignoring):
    work = tmp_path / "work"
    command = stages.command("preprocess", work, "--workers", 2)
    process, terminal = in_a_terminal(command, ignoring=ignoring)
    assert wait_until(lambda: list(work.glob("shards/*/*/*.h5")), 100)
    family = psutil.Process(process.pid).children(recursive=True)
    os.close(terminal)
    code = process.wait(timeout=100)
    assert wait_until(lambda: not any(one.is_running() for one in family), 60)
    if ignoring:
        assert code == 0
        stages.compare("preprocess", work)
        return
    assert code == -signal.SIGHUP
    made = {path: path.stat().st_ino for path in list_shards(work)}
    assert made
    said = "\n".join(work_status(work))
    assert "none at work" in said
    assert "did not come to its end" in said
    stages.finish("preprocess", work, "--workers", 1)
    assert all(path.stat().st_ino == inode for path, inode in made.items())
