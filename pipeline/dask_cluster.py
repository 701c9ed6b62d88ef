"""Tasks on Dask workers: few in flight, lost workers' tasks again, and no waiting for ever."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

from .. import __version__
from ..errors import ClusterError
from .cluster import Outcome
from .cluster_options import ClusterOptions

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# Open files of the driver of a local cluster, measured with room to spare (see tests/faults).
_FILES, _FILES_OF_A_WORKER = 64, 16
# Tasks in flight for each worker: one at work, and the next ones at hand.
_IN_FLIGHT = 3
# Workers that one task may lose before it counts as their killer.
LOST_WORKERS = 3
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Seconds between two looks at the cluster, and for the scheduler to answer.
_LOOK_EVERY = 2.0
_ANSWER_WITHIN = 60.0
# Seconds without any worker before a run gives up, where they run on this machine.
_LOCAL_PATIENCE = 180.0

SETTINGS = {
    # BLAS reads these when it is loaded, so they must stand before a worker starts.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_VARIABLES, "1"),
    "distributed.comm.timeouts.connect": "60s",
    "distributed.scheduler.allowed-failures": LOST_WORKERS,
}


@contextmanager
def local_cluster(workers: int) -> Iterator[DaskCluster]:
    """Processes on this machine, one core each. Raises ClusterError where they cannot start."""
    import dask

    _allow_open_files(_FILES + workers * _FILES_OF_A_WORKER)

    distributed: Any = import_module("distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set(SETTINGS),
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
        yield DaskCluster(client, _LOCAL_PATIENCE, workers=workers)


def _allow_open_files(needed: int) -> None:
    """Raise this process's limit of open files to what a local cluster needs.

    Raises ClusterError where the system does not allow as many.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise ClusterError(
            f"at most {hard} open files are allowed, these workers need {needed}; "
            f"give fewer workers, or allow more with `ulimit -n {needed}`"
        ) from None


@contextmanager
def scheduler_cluster(address: str, options: ClusterOptions) -> Iterator[DaskCluster]:
    """The workers of a scheduler that someone else runs.

    Raises ClusterError where no scheduler answers at the address.
    """
    import dask

    distributed: Any = import_module("distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        try:
            client = distributed.Client(address, timeout=f"{options.connect_seconds}s")
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}); "
                "start `dask scheduler` there, or give its address"
            ) from None
        if options.dashboard:
            logger.info("dashboard: %s", client.dashboard_link)
        with client:
            yield DaskCluster(client, options.patience_minutes(queue=False) * 60)


class DaskCluster:
    """Runs tasks through a client; renews and gives up where workers or scheduler are lost."""

    def __init__(
        self,
        client: Any,
        patience: float,
        *,
        workers: int | None = None,
        look: Callable[[], None] = lambda: None,
        where: str = "its log",
    ) -> None:
        """workers: as many as there will be; None for those that the scheduler has.

        patience: seconds without a worker before a run gives up. look: called every few seconds.
        where: what to read when workers do not come.
        """
        self._client = client
        self._patience = patience
        self._workers = workers
        self._look = look
        self._where = where
        self._room = (workers or 1) * _IN_FLIGHT
        self._looked = self._manned = time.monotonic()
        self._entry = _worker_entry()

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        """The outcomes as they come.

        Raises ClusterError where the scheduler is lost or no worker has been there for too long.
        """
        waiting = iter(tasks)
        flying: dict[Any, Task] = {}
        arrived: SimpleQueue[Any] = SimpleQueue()

        def fill() -> None:
            for task in islice(waiting, max(0, self._room - len(flying))):
                future = self._submit(function, task)
                flying[future] = task
                future.add_done_callback(arrived.put)

        self._manned = time.monotonic()
        self._check()
        try:
            fill()
            while flying:
                with suppress(Empty):
                    future = arrived.get(timeout=_LOOK_EVERY)
                    task = flying.pop(future)
                    outcome = Outcome(task, *self._collect(future))
                    future.release()
                    fill()
                    yield outcome
                if time.monotonic() - self._looked > _LOOK_EVERY:
                    self._check()
                    fill()
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self._client.cancel(list(flying), force=True)

    def _submit(self, function: Callable[[Task], Result], task: Task) -> Any:
        pack: Any = import_module("distributed.protocol.pickle").dumps
        return self._client.submit(
            self._entry, pack((function, task)), __version__, pure=False, key=None
        )

    def _collect(self, future: Any) -> tuple[Any, Exception | None]:
        if future.status in ("cancelled", "lost"):
            raise ClusterError(_LOST)
        error = future.exception()
        if error is None:
            result, error = pickle.loads(future.result())
            return result, error
        if type(error).__name__ == "KilledWorker":
            error = ClusterError(
                f"its worker died {LOST_WORKERS + 1} times (killed for its memory, or a crash in "
                f"native code?); see {self._where}, give more memory, run again"
            )
        return None, error

    def _check(self) -> None:
        """Count the workers and let the owner look after them."""
        self._looked = time.monotonic()
        client = self._client
        try:
            if client.status != "running":
                raise ClusterError(_LOST)
            cores = client.sync(client.scheduler.ncores, callback_timeout=_ANSWER_WITHIN)
        except (OSError, TimeoutError) as error:
            raise ClusterError(_LOST) from error
        self._look()
        if self._workers is None:
            self._room = max(1, sum(cores.values())) * _IN_FLIGHT
        if cores:
            self._manned = self._looked
        elif self._looked - self._manned > self._patience:
            raise ClusterError(
                f"no worker for {self._patience / 60:.0f} minutes; see {self._where}, then run "
                "again: what is done stays"
            )


_LOST = "the Dask scheduler is gone or does not answer; run again: what is done stays"


def _worker_entry() -> Callable[[bytes, str], bytes]:
    """What a worker runs, as a function that travels whole, so that its glee may be missing."""

    def enter(packed: bytes, version: str) -> bytes:
        try:
            from glee.pipeline.task_attempt import attempt_packed
        except Exception as error:
            import pickle
            import sys

            text = (
                f"a worker cannot import glee ({type(error).__name__}: {error}); "
                f"its Python is {sys.executable}: install glee there or give another `python`"
            )
            return pickle.dumps((None, RuntimeError(text)))
        return attempt_packed(packed, version)

    return enter
