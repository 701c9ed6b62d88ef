"""Between `minimum_jobs` and `maximum_jobs`, jobs come with the work and go with it."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from glee.pipeline.cluster import queue_cluster
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def quick_to_adapt(monkeypatch, slurm):
    monkeypatch.setattr(queue_cluster, "_ADAPT_EVERY", 1)
    monkeypatch.setattr(queue_cluster, "_ADAPT_AFTER", 3)
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])


def test_jobs_grow_with_the_work_and_shrink(slurm, quick_to_adapt, tmp_path):
    options = ClusterOptions(
        cores=1,
        memory="1GB",
        minimum_jobs=1,
        maximum_jobs=3,
        interface="lo",
        scratch=str(tmp_path / "scratch"),
        log_folder=str(tmp_path / "logs"),
    )
    running: list[int] = []
    over = threading.Event()

    def watch():
        while not over.wait(0.5):
            running.append(len(slurm.jobs("RUNNING")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with open_cluster("slurm", None, options) as cluster:
            many = list(cluster.run(time.sleep, [1.0] * 40))
            grown = max(running)
            begin = len(running)
            few = list(cluster.run(time.sleep, [25.0]))
            shrunk = min(running[begin:])
    finally:
        over.set()
        watcher.join()
    assert Counter(outcome.error for outcome in [*many, *few]) == {None: 41}
    assert grown == 3
    assert shrunk == 1
    deadline = time.monotonic() + 20
    while slurm.jobs():
        assert time.monotonic() < deadline, "jobs are left in the queue"
        time.sleep(0.3)
