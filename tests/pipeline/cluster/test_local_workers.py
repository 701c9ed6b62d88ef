"""Workers of this machine: killed at any moment, they are replaced, or it is said in one line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from glee.errors import ClusterError
from glee.pipeline.cluster import local_workers
from glee.pipeline.cluster.cluster import open_cluster


def nurseries():
    return [
        child
        for child in psutil.Process().children()
        if "glee.pipeline.cluster.worker_nursery" in " ".join(child.cmdline())
    ]


def workers():
    return [child for nursery in nurseries() for child in nursery.children()]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.002)
    return found


def process_of(_):
    time.sleep(0.1)
    return os.getpid()


def test_workers_killed_while_they_start_are_replaced():
    with open_cluster("local", 2) as cluster:
        killed = set()
        for _ in range(4):  # the moment after the fork: nothing is imported or connected yet
            fresh = until(lambda: [w for w in workers() if w.pid not in killed])
            fresh[0].kill()
            killed.add(fresh[0].pid)
        outcomes = list(cluster.run(process_of, range(8)))
        assert [outcome.error for outcome in outcomes] == [None] * 8
        assert not {outcome.result for outcome in outcomes} & killed
    assert not nurseries()


@pytest.mark.parametrize("moment", ["starting", "serving"])
def test_the_nursery_is_replaced_too(moment):
    with open_cluster("local", 2) as cluster:
        if moment == "serving":
            assert len(list(cluster.run(process_of, range(4)))) == 4
        (nursery,) = until(nurseries)
        orphans = nursery.children()
        nursery.kill()
        assert [o.error for o in cluster.run(process_of, range(6))] == [None] * 6
        psutil.wait_procs(orphans, timeout=10)
        assert not [orphan for orphan in orphans if orphan.is_running()]


def test_workers_that_never_come_up_end_the_run(monkeypatch):
    monkeypatch.setattr(local_workers, "FAILED_STARTS", 3)
    with open_cluster("local", 1 + 1) as cluster:
        (nursery,) = until(nurseries)

        def killed():
            for child in nursery.children():
                child.kill()
            cluster._look()

        with pytest.raises(ClusterError, match="ended 4 times while they started") as error:
            until(killed)
        assert "\n" not in str(error.value)


def test_a_worker_is_a_copy_of_a_process_with_one_thread():
    """Forked after the imports: its memory is shared and it starts at once."""
    with open_cluster("local", 2) as cluster:
        pids = {outcome.result for outcome in cluster.run(process_of, range(6))}
        (nursery,) = nurseries()
        assert pids <= {child.pid for child in nursery.children()}
        assert len(list(Path(f"/proc/{nursery.pid}/task").iterdir())) == 1
        assert all("worker_nursery" in child.cmdline()[-1] for child in nursery.children())
