"""SIGKILL at random moments, of every kind of process: a run started again loses nothing.

Here the driver, with its scheduler and its workers' nannies in it, its workers, and the forkserver
that starts them; of a scheduler elsewhere (`--cluster tcp://...`) the scheduler and a worker. A run
that loses workers goes on by itself; one that loses its scheduler ends with one line; after a
driver, the same command goes on.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

import h5py
import numpy as np
import psutil
import pytest

from glee.pipeline.shards.shard import list_shards

VICTIMS = {"driver": 0.35, "worker": 0.35, "forkserver": 0.1, "scheduler": 0.12, "far worker": 0.08}
FAR = ("scheduler", "far worker")
MOMENTS = {"starting": 0.45, "at work": 0.45, "ending": 0.1}
# Kills of one work folder before it is run to its end and compared.
KILLS_OF_A_FOLDER = 3
# Seconds of a face, asleep, so that there is a while between the first shard and the last.
NAP = 0.02
# Of an undisturbed run's time, until its first shard is there.
BEFORE_SHARDS = 0.7
PATIENCE = 240


@pytest.mark.slow
def test_a_run_killed_at_random_moments_and_started_again_loses_nothing(
    stages, far_cluster, campaign, tally, wait_until, tmp_path
):
    rng = np.random.default_rng(campaign["seed"])
    begin = time.monotonic()
    stages.run("preprocess", tmp_path / "timed")
    usual = time.monotonic() - begin
    kills = folder = 0
    while kills < campaign["kills"]:
        stage = "fit3d" if rng.random() < 0.3 else "preprocess"
        work = stages.fresh(stage, tmp_path / f"work{folder}")
        folder += 1
        for _ in range(KILLS_OF_A_FOLDER):
            victim = str(rng.choice(list(VICTIMS), p=list(VICTIMS.values())))
            moment, ended = Attack(stages, stage, work, far_cluster, wait_until).kill(
                victim, rng, usual
            )
            kills += bool(moment)
            tally[f"kill: {victim}, {moment}" if moment else "over before the kill"] += 1
            if ended:
                break
            tally["run started again"] += 1
        if ended:
            stages.compare(stage, work)
        else:
            stages.finish(stage, work, "--workers", 1)
        tally["datasets equal to the undisturbed run's"] += equal_datasets(
            work, stages.undisturbed[stage]
        )
        tally["work folders compared"] += 1
        shutil.rmtree(work)


class Attack:
    """One run of a stage, and the kill of one of its processes."""

    def __init__(self, stages, stage, work, far_cluster, wait_until):
        self._stages = stages
        self._stage = stage
        self._work = work
        self._far = far_cluster
        self._wait_until = wait_until
        self._before = self._inodes()

    def kill(self, victim, rng, usual):
        """(when the victim was killed, or "" if the run was over; whether the run is complete)."""
        where = ("--cluster", self._far.start(NAP)) if victim in FAR else ()
        self._driver = self._stages.start(self._stage, self._work, *where, nap=NAP)
        try:
            return self._strike(victim, rng, usual)
        finally:
            if self._driver.poll() is None:
                self._driver.kill()
            self._driver.communicate()

    def _strike(self, victim, rng, usual):
        wanted = str(rng.choice(list(MOMENTS), p=list(MOMENTS.values())))
        left = len(self._stages.expected[self._stage]) - len(self._before)
        made = {"starting": 0, "at work": int(rng.integers(1, max(2, left))), "ending": left}
        assert self._wait_until(
            lambda: self._over() or (self._victims(victim) and self._made() >= made[wanted]),
            PATIENCE,
        )
        alone = victim in ("driver", "scheduler") and wanted == "starting"
        longest = BEFORE_SHARDS * usual if alone else 0.1 if wanted == "ending" else 0.3
        time.sleep(rng.uniform(0, longest))
        victims, family = self._victims(victim), self._family()
        moment = self._moment(left)
        if self._over() or not victims:
            self._ends_well()
            return "", True
        victims[rng.integers(len(victims))].kill()
        if victim == "driver":
            self._driver.wait(PATIENCE)
            _, alive = psutil.wait_procs(family, timeout=20)
            assert not alive, "workers outlive their driver"
            return moment, False
        if victim == "scheduler":
            self._far.stop()
            return moment, self._ends_with_a_line()
        self._ends_well()
        return moment, True

    def _moment(self, left):
        made = self._made()
        return "starting" if made == 0 and left > 0 else "at work" if made < left else "ending"

    def _ends_well(self):
        said = self._driver.communicate(timeout=PATIENCE)[1]
        assert self._driver.returncode == 0, said
        assert said == ""

    def _ends_with_a_line(self):
        """Whether it was over before its scheduler was."""
        said = self._driver.communicate(timeout=PATIENCE)[1]
        assert self._driver.returncode in (0, 1), said
        if self._driver.returncode == 1:
            assert len(said.splitlines()) == 1, said
            assert "cheduler" in said
        return self._driver.returncode == 0

    def _over(self):
        return self._driver.poll() is not None

    def _victims(self, victim):
        if victim in FAR:
            return self._far.workers() if victim == "far worker" else self._far.scheduler()
        if victim == "driver":
            return [] if self._over() else [psutil.Process(self._driver.pid)]
        forkservers = self._forkservers()
        if victim == "forkserver":
            return forkservers
        return [child for server in forkservers for child in children(server)]

    def _forkservers(self):
        """One, or none; the driver's other child is multiprocessing's tracker of resources."""
        with suppress(psutil.Error):
            return [
                child
                for child in children(psutil.Process(self._driver.pid))
                if "multiprocessing.forkserver" in " ".join(child.cmdline())
            ]
        return []

    def _family(self):
        with suppress(psutil.Error):
            return psutil.Process(self._driver.pid).children(recursive=True)
        return []

    def _made(self):
        """Shards that this run has written."""
        return sum(self._before.get(path) != inode for path, inode in self._inodes().items())

    def _inodes(self):
        """The stage's shards that are there."""
        fresh = self._stages.unfitted if self._stage == "fit3d" else {}
        found = {}
        for path in self._work.glob("shards/*/*/*.h5"):
            with suppress(FileNotFoundError):
                inode = path.stat().st_ino
                if fresh.get(path) != inode:
                    found[path] = inode
        return found


def children(process):
    try:
        return process.children()
    except psutil.Error:
        return []


def equal_datasets(work, other):
    """How many datasets there are; each must have the bytes of the other folder's."""
    count = 0

    def compare(name, item):
        nonlocal count
        if isinstance(item, h5py.Dataset):
            assert item[()].tobytes() == theirs[name][()].tobytes(), name
            assert item.dtype == theirs[name].dtype
            count += 1

    for path in list_shards(work):
        with (
            h5py.File(path, "r", locking=False) as ours,
            h5py.File(other / path.relative_to(work), "r", locking=False) as theirs,
        ):
            ours.visititems(compare)
    return count
