"""Bad luck and bad neighbours while a run is at work: what it says, and that the next one is whole.

The work folder moved, its lock deleted, a worker that hangs, another user of the machine at the
run's ports, and modules in the current folder that are called as Python's and glee's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import psutil
import pytest

pytestmark = pytest.mark.campaign

STAGES = ("preprocess", "fit3d")
PATIENCE = 240
# Seconds of a face, asleep, so that there is a while between the first shard and the last.
NAP = 0.15

# Speaks plain words and a page's request to each port, and prints the ports that answer with more
# than a refusal.
STRANGER = """
import socket, sys
GREETING = (8).to_bytes(8, "little") + bytes(8)
PAGE = b"GET /info/main/workers.html HTTP/1.0\\r\\n\\r\\n"
for port in map(int, sys.argv[1:]):
    for words in (GREETING, PAGE):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as line:
                line.settimeout(1)
                line.sendall(words)
                told = line.recv(4096)
        except OSError:
            told = b""
        if len(told) > 64 and b" 404 " not in told.split(b"\\r\\n")[0]:
            print(port, told[:80])
"""


def move(work):
    work.rename(work.with_name("moved"))
    return work.with_name("moved")


def replace(work):
    """As a synchronising program does: the folder is another one of the same content."""
    moved = move(work)
    shutil.copytree(moved, work)
    return work


def delete_lock(work):
    (work / ".glee.lock").unlink()
    return work


def at_work(stages, stage, work, wait_until, *arguments):
    """A run of which the first shard is there."""
    running = stages.start(stage, work, *arguments, nap=NAP)
    fresh = stages.unfitted if stage == "fit3d" else {}

    def begun():
        if running.poll() is not None:
            return True
        made = work.glob("shards/*/*/*.h5")
        return any(fresh.get(path) != path.stat().st_ino for path in made)

    assert wait_until(begun, PATIENCE)
    assert running.poll() is None, running.communicate()
    return running


@pytest.mark.parametrize("accident", [move, replace, delete_lock])
def test_the_folder_or_its_lock_goes(accident, stages, tally, wait_until, tmp_path):
    running = at_work(stages, "preprocess", tmp_path / "work", wait_until)
    left = accident(tmp_path / "work")
    said = running.communicate(timeout=PATIENCE)[1]
    assert running.returncode == 1, said
    (line,) = said.strip().splitlines()
    assert ("lock was removed" if accident is delete_lock else "was moved") in line
    stages.finish("preprocess", left, "--workers", 1)
    tally[f"preprocess: {accident.__name__.replace('_', ' ')} while at work"] += 1


def workers_of(run):
    """The processes that the forkserver of a run started."""
    return [
        worker
        for child in psutil.Process(run.pid).children()
        if "multiprocessing.forkserver" in " ".join(child.cmdline())
        for worker in child.children()
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")
def test_a_worker_hangs(stages, tally, wait_until, tmp_path):
    limit = ("--stuck-minutes", 0.1)
    running = at_work(stages, "preprocess", tmp_path / "work", wait_until, *limit)
    hung = workers_of(running)[0]
    hung.suspend()
    said = running.communicate(timeout=PATIENCE)[1]
    assert (running.returncode, said) == (0, "")
    assert not hung.is_running()
    stages.compare("preprocess", tmp_path / "work")
    tally["preprocess: a worker hangs, others do its tasks"] += 1


def test_another_user_of_the_machine(stages, tally, wait_until, tmp_path):
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or python is None:
        pytest.skip("to be another user takes root, and a Python that others may run")
    running = at_work(stages, "preprocess", tmp_path / "work", wait_until)
    me = psutil.Process(running.pid)
    ports = {
        connection.laddr.port
        for one in (me, *me.children(recursive=True))
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(ports) >= 3  # scheduler, nannies, workers
    told = subprocess.run(
        [python, "-c", STRANGER, *map(str, ports)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd="/",
        check=False,
        user=65534,
        group=65534,
        extra_groups=[],
    )
    assert (told.stdout, told.stderr, told.returncode) == ("", "", 0)
    said = running.communicate(timeout=PATIENCE)[1]
    assert (running.returncode, said) == (0, "")
    stages.compare("preprocess", tmp_path / "work")
    tally["preprocess: another user at the run's ports"] += len(ports)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["random.py", "glee/__init__.py"])
def test_modules_in_the_current_folder(stage, name, stages, tally, tmp_path, monkeypatch):
    trap = tmp_path / "here" / name
    trap.parent.mkdir(parents=True)
    trap.write_text("import os\nos.write(2, b'the trap was imported')\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    work = stages.fresh(stage, tmp_path / "work")
    code, said = stages.run(stage, work)
    assert (code, said) == (0, "")
    stages.compare(stage, work)
    assert not list((tmp_path / "here").rglob("__pycache__"))
    tally[f"{stage}: {name} in the current folder"] += 1
