"""open_cluster(): tasks in this process, on this machine's cores, in a queue's jobs or elsewhere.

A cluster runs a function on many tasks. The outcomes come in any order, and only a few tasks are
taken at a time, so that a plan of any length can be given as an iterator.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from ...errors import UsageError, did_you_mean
from .options import QUEUES, ClusterOptions
from .tasks import Outcome, attempt, limit_threads

Task = TypeVar("Task")
Result = TypeVar("Result")

_SCHEDULERS = ("tcp://", "tls://")


class Cluster(Protocol):
    """Workers that run tasks."""

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        """Run a function on every task.

        Parameters
        ----------
        function : callable of one task; it and the tasks must travel by pickle
        tasks : taken one after the other, as there is room for them

        Returns
        -------
        One outcome a task, in the order in which they come: a task that fails is an outcome too.
        """


@contextmanager
def open_cluster(
    spec: str | None = None, workers: int | None = None, options: ClusterOptions | None = None
) -> Iterator[Cluster]:
    """A cluster for the time of a stage.

    Parameters
    ----------
    spec : "local"; "slurm", "pbs", "lsf" or "sge", whose jobs hold the workers; or the address of
        a Dask scheduler that runs already, tcp://host:port; None for the one that `options` state
    workers : processes, each with one core; None for what `options` state, or one a core of this
        machine, or, in a queue, for as many jobs as stated. Local with one worker, the tasks run
        in this process
    options : of the queue or scheduler; None for the defaults

    Raises
    ------
    UsageError
        The spec is unknown, the number of workers is not positive or a package is missing.
    ClusterError
        The cluster cannot be had; or, later, it is lost.
    """
    options = options or ClusterOptions()
    check_cluster(spec, workers, options)
    spec = spec or options.kind
    workers = options.workers if workers is None else workers
    if spec == "local":
        count = workers or available_cores()
        if count == 1:
            limit_threads(1)
            yield _InProcess()
            return
        from .local_cluster import local_cluster

        with local_cluster(count, options.stuck_minutes) as cluster:
            yield cluster
    elif spec in QUEUES:
        from .queue_cluster import queue_cluster

        with queue_cluster(spec, workers, options) as cluster:
            yield cluster
    else:
        from .dask_cluster import scheduler_cluster

        with scheduler_cluster(spec, options) as cluster:
            yield cluster


def check_cluster(spec: str | None, workers: int | None, options: ClusterOptions) -> None:
    """Refuse what no cluster can be made of, before anything is loaded for its tasks.

    Parameters
    ----------
    spec, workers, options
        As in `open_cluster`.

    Raises
    ------
    UsageError
        The spec is unknown, or the number of workers makes no sense.
    """
    spec = spec or options.kind
    workers = options.workers if workers is None else workers
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: give at least 1")
    if spec.startswith(_SCHEDULERS):
        if workers is not None:
            raise UsageError(f"--workers does not go with {spec}, which has its own; leave it out")
    elif spec not in ("local", *QUEUES):
        near = did_you_mean(spec, ("local", *QUEUES))
        known = ", ".join(("local", *QUEUES, "tcp://host:port"))
        raise UsageError(f"cluster {spec!r} is unknown; {near}known are: {known}")


class _InProcess:
    """One task after the other, in this process."""

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        for task in tasks:
            yield Outcome(task, *attempt(function, task))


def available_cores() -> int:
    """Cores that this process may use.

    Returns
    -------
    Those of its affinity mask, where the system has one; else all of the machine.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
