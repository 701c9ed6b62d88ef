"""A worker that is stopped is named, and where the user says so, others do its tasks."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from glee.pipeline.cluster import stuck_tasks
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")


def stop_once(path):
    """Stop this process, the first time that it is called."""
    try:
        Path(path).open("x").close()
    except FileExistsError:
        return "done"
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def nap(_):
    time.sleep(0.3)
    return "slept"


def stopped():
    family = psutil.Process().children(recursive=True)
    return [one for one in family if one.status() == psutil.STATUS_STOPPED]


def test_a_stopped_worker_is_named_and_may_go_on(tmp_path, monkeypatch):
    said = []

    def note(text, *values):
        said.append(text % values)
        for one in stopped():
            one.resume()

    monkeypatch.setattr(stuck_tasks, "NAMED_AFTER", 3.0)
    monkeypatch.setattr(stuck_tasks.logger, "warning", note)
    with open_cluster("local", 2) as cluster:
        (outcome,) = cluster.run(stop_once, [str(tmp_path / "stopped")])
    assert outcome.result == "went on"
    (line,) = said
    assert line.startswith(repr(str(tmp_path))[:20])
    assert "`stuck_minutes` in [cluster]" in line


def test_others_do_what_a_stopped_worker_had(tmp_path, caplog):
    options = ClusterOptions(stuck_minutes=0.1)
    with caplog.at_level("WARNING", logger="glee"), open_cluster("local", 2, options) as cluster:
        paths = [str(tmp_path / "stopped")]
        begin = time.monotonic()
        (outcome,) = cluster.run(stop_once, paths)
        assert outcome.result == "done"
        assert time.monotonic() - begin < 90
        assert [o.result for o in cluster.run(nap, range(4))] == ["slept"] * 4
    (record,) = [r for r in caplog.records if "no result for" in r.getMessage()]
    assert str(tmp_path)[:20] in record.getMessage()
    assert "its worker is ended" in record.getMessage()
