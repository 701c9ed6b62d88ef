"""Workers of this machine: killed at any moment, they are replaced, or it is said in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import glee.pipeline.fit3d
import glee.pipeline.preprocess  # noqa: F401  what these load, the forkserver imports
from glee.errors import ClusterError
from glee.pipeline.cluster import local_cluster
from glee.pipeline.cluster.cluster import open_cluster

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def forkservers():
    return [
        child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())
    ]


def workers():
    return [child for server in forkservers() for child in server.children()]


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
        for _ in range(4):  # the moment after the fork: nothing is connected yet
            fresh = until(lambda: cluster._look() or [w for w in workers() if w.pid not in killed])
            fresh[0].kill()
            killed.add(fresh[0].pid)
        outcomes = list(cluster.run(process_of, range(8)))
        assert [outcome.error for outcome in outcomes] == [None] * 8
        assert not {outcome.result for outcome in outcomes} & killed
    assert not workers()


def test_a_worker_killed_while_it_serves_is_replaced():
    with open_cluster("local", 2) as cluster:
        first = {outcome.result for outcome in cluster.run(process_of, range(8))}
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len({w.pid for w in workers()} - {min(first)}) == 2)
        later = set()
        until(lambda: later.update(o.result for o in cluster.run(process_of, range(8))) or later)
        assert min(first) not in later


@pytest.mark.parametrize("moment", ["starting", "serving"])
def test_the_forkserver_is_replaced_too(moment):
    with open_cluster("local", 2) as cluster:
        if moment == "serving":
            assert len(list(cluster.run(process_of, range(4)))) == 4
        (server,) = until(forkservers)
        orphans = server.children()
        server.kill()
        assert [o.error for o in cluster.run(process_of, range(6))] == [None] * 6
        psutil.wait_procs(orphans, timeout=10)
        assert not [orphan for orphan in orphans if orphan.is_running()]
    assert not workers()


def test_workers_that_never_come_up_end_the_run(monkeypatch):
    monkeypatch.setattr(local_cluster, "FAILED_STARTS", 3)
    with open_cluster("local", 2) as cluster:

        def killed():
            for worker in workers():
                worker.kill()
            cluster._look()

        with pytest.raises(ClusterError, match="ended [4-6] times while they started") as error:
            until(killed)
        assert "\n" not in str(error.value)


@LINUX
def test_a_worker_is_a_copy_of_a_process_with_one_thread():
    """Forked after the imports: its memory is shared and it starts at once."""
    with open_cluster("local", 2) as cluster:
        pids = {outcome.result for outcome in cluster.run(process_of, range(6))}
        (server,) = forkservers()
        assert pids <= {child.pid for child in server.children()}
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1
        assert os.getsid(server.pid) != os.getsid(0)


def run_program(text, *, prologue="", **options):
    """A driver of two workers in a process of its own, in a session of its own."""
    program = f"{prologue}\nfrom glee.pipeline.cluster.cluster import open_cluster\n{text}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


@LINUX
def test_what_the_demo_loads_starts_no_thread_in_the_forkserver():
    """It is forked whole only while it has one thread, whatever the driver has loaded."""
    running = run_program(
        "import psutil\n"
        "with open_cluster('local', 2) as cluster:\n"
        "    assert [o.result for o in cluster.run(abs, [-1])] == [1]\n"
        "    for child in psutil.Process().children():\n"
        "        if 'forkserver' in ' '.join(child.cmdline()):\n"
        "            print(child.num_threads(), len(child.children()))\n",
        prologue="import glee.reports.demo.demo",
    )
    said, complaints = running.communicate(timeout=120)
    assert (said, complaints) == ("1 2\n", "")


def test_a_script_without_a_guard_is_not_run_again_by_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from glee.pipeline.cluster.cluster import open_cluster\n"
        "def double(number):\n"
        "    return 2 * number\n"
        "print('begins', flush=True)\n"
        "with open_cluster('local', 2) as cluster:\n"
        "    print(sorted(o.result for o in cluster.run(double, range(3))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("begins\n[0, 2, 4]\n", "")


@LINUX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_driver_and_none_says_a_word(how):
    running = run_program(
        "import time\n"
        "try:\n"
        "    with open_cluster('local', 2) as cluster:\n"
        "        for _ in cluster.run(time.sleep, [0.2] * 1000):\n"
        "            print('at work', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    assert running.stdout.readline() == "at work\n"
    family = psutil.Process(running.pid).children(recursive=True)
    assert len(family) == 4  # two workers, the forkserver, multiprocessing's tracker of resources
    # Ctrl-C is told to all processes of a terminal.
    (os.killpg if how == signal.SIGINT else os.kill)(running.pid, how)
    said, complaints = running.communicate(timeout=60)
    assert ("interrupted\n" in said) == (how == signal.SIGINT)
    assert complaints == ""
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_this_process_stays_as_it_was():
    before = dict(os.environ)
    with open_cluster("local", 2) as cluster:
        seen = {o.result for o in cluster.run(os.getenv, ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])}
    assert seen == {"1"}
    assert dict(os.environ) == before


def test_workers_see_the_environment_of_now(monkeypatch):
    """The forkserver may be older."""
    with open_cluster("local", 2) as cluster:
        assert [o.result for o in cluster.run(os.getenv, ["GLEE_TRIAL"])] == [None]
    monkeypatch.setenv("GLEE_TRIAL", "here")
    with open_cluster("local", 2) as cluster:
        assert [o.result for o in cluster.run(os.getenv, ["GLEE_TRIAL"])] == ["here"]
