"""SIGKILL of the driver or of a worker at random moments: the run started again loses nothing."""

from __future__ import annotations

import signal
import time

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.campaign

# Kills of one work folder before it is run to its end and compared.
KILLS_OF_A_FOLDER = 3
START_UP = 6.0
SHARDS = 8


def test_a_run_killed_at_random_moments_and_started_again_loses_nothing(
    stages, campaign, tally, workers_of, wait_until, tmp_path
):
    rng = np.random.default_rng(campaign["seed"])
    left, folder = campaign["kills"], 0
    while left > 0:
        stage = ("preprocess", "fit3d")[folder % 2]
        work = stages.fresh(stage, tmp_path / f"work{folder}")
        folder += 1
        for _ in range(min(left, KILLS_OF_A_FOLDER)):
            left -= 1
            victim = ("driver", "worker")[rng.integers(2)]
            hit = kill(stages.start(stage, work), victim, work, rng, workers_of, wait_until)
            tally[f"{stage}: {victim} killed" if hit else f"{stage}: over before the kill"] += 1
        stages.finish(stage, work, "--workers", 1 + folder % 2)


def kill(process, victim, work, rng, workers_of, wait_until):
    """Kill a run's driver or one of its workers at a random moment; whether it still ran then.

    A run whose worker was killed must go on to its end by itself.
    """
    begin = time.time_ns()
    shards = int(rng.integers(-2, SHARDS - 1))
    # Up to the first shard the moments are those of the start.
    jitter = rng.uniform(0, START_UP if shards <= 0 and victim == "driver" else 0.3)

    def reached():
        if process.poll() is not None:
            return True
        there = victim == "driver" or bool(workers_of(process))
        return there and written(work, begin) >= shards

    assert wait_until(reached, 120)
    time.sleep(jitter)
    children = workers_of(process)
    if process.poll() is not None or (victim == "worker" and not children):
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
        return False
    if victim == "worker":
        children[rng.integers(len(children))].kill()
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
        return True
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "workers outlive their driver"
    return True


def written(work, since):
    """Shards written since a time, ns."""
    count = 0
    for path in work.glob("shards/*/*/*.h5"):
        try:
            count += path.stat().st_mtime_ns >= since
        except FileNotFoundError:
            continue
    return count
