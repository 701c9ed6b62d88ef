"""Where tasks run: in this process, or on a Dask cluster; results in any order, few in flight."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import cv2

from ..errors import GleeError, UsageError

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# Tasks in flight for each worker: one at work, and the next ones at hand.
_IN_FLIGHT = 3
_BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of a task: its result, or the error that it raised."""

    task: Task
    result: Result | None
    error: Exception | None


class Cluster(Protocol):
    """A place where tasks run."""

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        """The outcomes, in the order in which they come; tasks are taken when there is room."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_cluster(spec: str = "local", workers: int | None = None) -> Iterator[Cluster]:
    """A cluster for the time of a stage.

    spec: "local". workers: processes, each with one core; None for one a core of this machine. With
    one worker the tasks run in this process.

    Raises UsageError where the spec is unknown or the number of workers is not positive.
    """
    count = available_cores() if workers is None else workers
    if count < 1:
        raise UsageError(f"{count} workers: give at least 1")
    if spec != "local":
        raise UsageError(f"cluster {spec!r} is unknown; known are: local")
    if count == 1:
        limit_threads(1)
        yield _InProcess()
        return
    with _local_dask(count) as cluster:
        yield cluster


def limit_threads(cores: int) -> None:
    """Give OpenCV, Numba and torch, as far as they are loaded, this many threads."""
    cv2.setNumThreads(cores)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(cores, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cores)


class _InProcess:
    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        for task in tasks:
            yield Outcome(task, *_attempt(function, task))


@contextmanager
def _local_dask(workers: int) -> Iterator[Cluster]:
    import dask

    distributed: Any = import_module("distributed")
    settings = {
        # BLAS reads these when it is loaded, so they must stand before a worker starts.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_BLAS_VARIABLES, "1"),
        "distributed.comm.timeouts.connect": "60s",
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Not before the start: Numba in this process would notice the change and stop.
            env={"NUMBA_NUM_THREADS": "1"},
            # No dashboard; the scheduler's own page takes any free port of this machine.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield _Dask(client, workers)


class _Dask:
    def __init__(self, client: Any, workers: int) -> None:
        self._client = client
        self._room = workers * _IN_FLIGHT

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        distributed: Any = import_module("distributed")
        waiting = iter(tasks)
        flying: dict[Any, Task] = {}

        def submit(task: Task) -> Any:
            future = self._client.submit(_attempt_on_worker, function, task, pure=False)
            flying[future] = task
            return future

        done = distributed.as_completed([submit(task) for task in islice(waiting, self._room)])
        for future in done:
            task = flying.pop(future)
            error = future.exception()
            outcome = Outcome(task, *((None, error) if error is not None else future.result()))
            future.release()
            for another in islice(waiting, 1):
                done.add(submit(another))
            yield outcome


def _attempt_on_worker(
    function: Callable[[Task], Result], task: Task
) -> tuple[Result | None, Exception | None]:
    limit_threads(1)
    return _attempt(function, task)


def _attempt(
    function: Callable[[Task], Result], task: Task
) -> tuple[Result | None, Exception | None]:
    """The edge of a task: whatever it raises is recorded, and the other tasks go on."""
    try:
        return function(task), None
    except GleeError as error:
        return None, error
    except Exception as error:
        # As text, since not every error can travel between processes.
        trace = traceback.format_exc()
        logger.debug("a task failed:\n%s", trace)
        return None, RuntimeError(f"{type(error).__name__}: {error}\n{trace}")
