"""How many short tasks the driver can deal out: 200,000 of 10 ms to 64 simulated workers.

python benchmarks/scheduler.py [--quick] [--json OUT] [--workers 64] [--tasks 200000]

The driver is glee's own: its scheduler, its client, its parcels
(`glee.pipeline.cluster.dask_cluster`). The workers are Dask's, of one thread each and as many as
asked for, but in a few processes and with tasks that sleep, so that two cores suffice. Busy is the
time that the tasks ask for, of the time that the workers were there: a task that oversleeps does
not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import psutil

PROCESSES = 2
TASK_SECONDS = 0.01
# As a chunk's task of a few frames: where they lie, and their labels.
TASK_BYTES = 1000


@dataclass(frozen=True)
class Busy:
    """What 64 workers' worth of tasks took.

    busy: of the workers' time, 0 to 1; in_tasks: the same with what the tasks overslept. seconds:
    wall clock. driver_mb: most memory of the driver with its scheduler. driver_cpu: its processor
    seconds. pending: most tasks that were taken and not done.
    """

    workers: int
    tasks: int
    task_seconds: float
    seconds: float
    busy: float
    in_tasks: float
    driver_mb: float
    driver_cpu: float
    pending: int


def nap(task: tuple[float, bytes]) -> float:
    """A task: sleep, and say how long that took."""
    begin = time.perf_counter()
    time.sleep(task[0])
    return time.perf_counter() - begin


def measure(workers: int = 64, tasks: int = 200_000, task_seconds: float = TASK_SECONDS) -> Busy:
    """Run the tasks on simulated workers, and see how busy they were."""
    import dask
    import distributed

    from glee.pipeline.cluster.dask_cluster import SETTINGS, DaskCluster

    taken = most = done = 0
    slept = 0.0

    def plan() -> Iterator[tuple[float, bytes]]:
        nonlocal taken
        for taken in range(1, tasks + 1):
            yield task_seconds, taken.to_bytes(8, "little") * (TASK_BYTES // 8)

    driver = psutil.Process()
    with (
        dask.config.set(SETTINGS),
        distributed.LocalCluster(
            n_workers=0,
            silence_logs=50,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--serve", cluster.scheduler_address]
                + ["--workers", str(workers // PROCESSES)]
            )
            for _ in range(PROCESSES)
        ]
        try:
            client.wait_for_workers(workers, timeout=120)
            glee_cluster = DaskCluster(client, 60, workers=workers)
            list(glee_cluster.run(nap, [(0.0, b"")] * workers * 2))  # imports and connections
            memory, cpu = 0, sum(driver.cpu_times()[:2])
            begin = time.perf_counter()
            for outcome in glee_cluster.run(nap, plan()):
                if outcome.error is not None:
                    raise outcome.error
                done += 1
                slept += outcome.result or 0.0
                if done % 1000 == 0:
                    most = max(most, taken - done)
                    memory = max(memory, driver.memory_info().rss)
            seconds = time.perf_counter() - begin
            cpu = sum(driver.cpu_times()[:2]) - cpu
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert done == tasks
    busy = tasks * task_seconds / (workers * seconds)
    inside = slept / (workers * seconds)
    return Busy(workers, tasks, task_seconds, seconds, busy, inside, memory / 2**20, cpu, most)


def targets(busy: Busy) -> list[dict[str, object]]:
    """The figures that the benchmark aims at."""
    rows = [
        ("scheduler_busy", busy.busy, 0.90, "higher"),
        ("driver_peak_mb", busy.driver_mb, 1024.0, "lower"),
    ]
    return [
        {
            "name": name,
            "value": round(value, 4),
            "target": target,
            "better": better,
            "met": value >= target if better == "higher" else value <= target,
        }
        for name, value, target, better in rows
    ]


async def serve(address: str, workers: int) -> None:
    """So many workers of one thread each, in this process, until the scheduler ends."""
    distributed = import_module("distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    import_module("dask").config.set(import_module("glee.pipeline.cluster.dask_cluster").SETTINGS)
    started = [
        distributed.Worker(address, nthreads=1, memory_limit=0, dashboard=False, host="127.0.0.1")
        for _ in range(workers)
    ]
    await asyncio.gather(*started)
    await asyncio.gather(*(worker.finished() for worker in started))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="30,000 tasks")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--task-seconds", type=float, default=TASK_SECONDS)
    parser.add_argument("--seed", type=int, default=0, help="nothing here is random")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, given.workers))
        return
    tasks = given.tasks or (30_000 if given.quick else 200_000)
    busy = measure(given.workers, tasks, given.task_seconds)
    found = {"benchmark": "scheduler", **asdict(busy), "targets": targets(busy)}
    print(json.dumps(found, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
