"""Workers and schedulers that fail: no task is lost, none is repeated in vain, nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glee.errors import ClusterError, DataError, UsageError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions


def count(path):
    """Add a line to a file, and return how many there are."""
    with Path(path).open("a") as file:
        file.write("x\n")
    return len(Path(path).read_text().splitlines())


def die_once(path):
    if count(path) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die_always(path):
    count(path)
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(path):
    count(path)
    raise DataError("cut video")


def answer(number):
    time.sleep(0.2)
    return number


@pytest.fixture(scope="module")
def two_workers():
    with open_cluster("local", 2) as cluster:
        yield cluster


def test_a_killed_workers_task_runs_again(two_workers, tmp_path):
    (outcome,) = two_workers.run(die_once, [str(tmp_path / "calls")])
    assert (outcome.result, outcome.error) == ("done", None)
    assert count(tmp_path / "calls") == 3


def test_bad_data_is_not_tried_again(two_workers, tmp_path):
    (outcome,) = two_workers.run(refuse, [str(tmp_path / "calls")])
    assert isinstance(outcome.error, DataError)
    assert count(tmp_path / "calls") == 2


def test_a_task_that_kills_its_workers_fails_after_some(two_workers, tmp_path):
    (outcome,) = two_workers.run(die_always, [str(tmp_path / "calls")])
    assert isinstance(outcome.error, ClusterError)
    assert "its worker died 4 times" in str(outcome.error)
    # Among others that may be the killers, and alone.
    assert count(tmp_path / "calls") == 1 + 2 * 4
    assert [o.result for o in two_workers.run(abs, [-3])] == [3]


@pytest.mark.parametrize("what", ["function", "task"])
def test_what_a_worker_cannot_import_is_an_error(two_workers, what, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(
        "import multiprocessing\n"
        "if multiprocessing.parent_process() is not None:\n"
        "    raise ImportError('no such library on this node')\n"
        "class Task:\n"
        "    pass\n"
        "def work(task):\n"
        "    return task\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    function, task = (only_here.work, 1) if what == "function" else (id, only_here.Task())
    (outcome,) = two_workers.run(function, [task])
    assert isinstance(outcome.error, ClusterError)
    assert "cannot load a task" in str(outcome.error)


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler in a process of its own, and what starts a worker for it."""
    started = []

    def start(*words, environment=None):
        log = (tmp_path / f"{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    file = tmp_path / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    process = start("distributed.cli.dask_scheduler", *words)
    deadline = time.monotonic() + 40
    while not file.exists() or not file.read_text().strip():
        assert time.monotonic() < deadline
        assert process.poll() is None, (tmp_path / "0.log").read_text()
        time.sleep(0.1)
    import json

    address = json.loads(file.read_text())["address"]

    def start_worker(**environment):
        words = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "20"]
        return start(
            "distributed.cli.dask_worker",
            address,
            *words,
            environment={**os.environ, **environment},
        )

    yield process, address, start_worker
    for one in reversed(started):
        if one.poll() is None:
            one.kill()
        one.wait()


def test_a_scheduler_elsewhere_and_its_death(scheduler):
    process, address, start_worker = scheduler
    start_worker()
    # Unpickled on the worker by name, which is not importable there as this test's module.
    with open_cluster(address) as cluster:
        assert sorted(o.result for o in cluster.run(abs, range(-5, 0))) == [1, 2, 3, 4, 5]
        run = cluster.run(time.sleep, [0.05] * 2000)
        next(run)
        process.kill()
        begin = time.monotonic()
        with pytest.raises(ClusterError, match="scheduler is gone"):
            list(run)
        assert time.monotonic() - begin < 30


def test_a_scheduler_without_workers_is_given_up(scheduler):
    _, address, _ = scheduler
    options = ClusterOptions(wait_minutes=0.05)
    with (
        open_cluster(address, None, options) as cluster,
        pytest.raises(ClusterError, match="no worker for"),
    ):
        list(cluster.run(abs, [1]))


def test_workers_without_glee_are_told(scheduler, tmp_path):
    _, address, start_worker = scheduler
    (tmp_path / "glee").mkdir()
    (tmp_path / "glee" / "__init__.py").write_text("raise ImportError('not the right glee')\n")
    start_worker(PYTHONPATH=str(tmp_path))
    with open_cluster(address) as cluster:
        (outcome,) = cluster.run(abs, [1])
    assert "a worker cannot import glee" in str(outcome.error)


def test_no_scheduler_at_the_address():
    options = ClusterOptions(connect_seconds=1)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        open_cluster("tcp://127.0.0.1:9", None, options),
    ):
        pass


def test_workers_of_another_scheduler_are_its_own():
    with pytest.raises(UsageError, match="leave it out"), open_cluster("tcp://h:1", 2):
        pass
