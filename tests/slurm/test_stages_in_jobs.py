"""preprocess and fit3d as Slurm jobs, one of them cancelled midway: the same shards as without."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from glee.pipeline.shards.shard import list_shards
from glee.pipeline.work_lock import work_status

pytestmark = pytest.mark.slurm

# Many chunks, so that a job can be cancelled between the first and the last.
CHUNK = 3
PATIENCE = 75


@pytest.fixture
def start_glee(slurm):
    """Starts the command line beside the test; what is left of it is ended."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "glee.cli", *map(str, words)],
            env={**slurm.environment, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def contents(work):
    return {path.relative_to(work): path.read_bytes() for path in list_shards(work)}


def wait_until(true, process, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            if process.poll() is None:
                process.kill()
            pytest.fail(f"it did not come to that: {process.communicate()[0][-3000:]}")
        time.sleep(0.1)


def finished(process):
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out[-3000:]
    return out


@pytest.mark.slow
def test_a_cancelled_job_changes_nothing(slurm, dataset, start_glee, tmp_path):
    alone = tmp_path / "alone"
    words = ["preprocess", "--dataset", "disfa", "--root", dataset, "--chunk-frames", CHUNK]
    finished(start_glee(*words, "--out", alone, "--workers", 1))
    before_fit = contents(alone)
    finished(start_glee("fit3d", alone, "--workers", 1))

    work = tmp_path / "work"
    work.mkdir()
    (work / "glee.toml").write_text(
        '[cluster]\nqueue = "tests"\ncores = 1\njobs = 2\nmemory = "2GB"\nwalltime = "00:10:00"\n'
        f'interface = "lo"\nscratch = "{tmp_path / "scratch"}"\n'
    )
    first = start_glee(*words, "--out", work, "--cluster", "slurm")
    wait_until(lambda: len(slurm.jobs("RUNNING")) == 2, first)
    wait_until(lambda: len(list((work / "shards").rglob("*.h5"))) >= 4, first)
    victim = slurm.jobs("RUNNING")[0]
    slurm.ask("scancel", victim)
    wait_until(lambda: victim not in slurm.jobs("RUNNING"), first)
    assert len(list((work / "shards").rglob("*.h5"))) < len(before_fit)
    assert any("preprocess on" in line for line in work_status(work))
    finished(first)
    assert contents(work) == before_fit

    assert "16 of 16 shards fitted" not in "\n".join(work_status(work))
    finished(start_glee("fit3d", work, "--cluster", "slurm"))
    assert contents(work) == contents(alone)
    assert "fit3d: 16 of 16 shards fitted" in work_status(work)
    wait_until_gone(slurm)


def wait_until_gone(slurm):
    deadline = time.monotonic() + 20
    while slurm.jobs():
        assert time.monotonic() < deadline, "jobs are left in the queue"
        time.sleep(0.3)
