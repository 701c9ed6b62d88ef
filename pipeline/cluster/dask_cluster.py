"""Tasks on Dask workers: parcels in flight, lost workers replaced (LocalCluster + forkserver).

Tasks on Dask workers: few in flight, lost workers' tasks again, and no waiting for ever.

Parcels: several short tasks that travel to a worker as one, so that a scheduler keeps up.

Dask's own logs, which are silenced: what a user must know, glee says in one line.

The system's limit of open files, raised to what is needed or refused in words.
"""

from __future__ import annotations

import logging
import pickle
import time
from asyncio import run_coroutine_threadsafe
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from queue import Empty, SimpleQueue
from threading import Timer
from typing import Any, Generic, NamedTuple, TypeVar

from ... import __version__
from ...errors import ClusterError, GleeError
from .local_workers import THREAD_VARIABLES, LocalWorkers
from .options import ClusterOptions
from .tasks import Outcome, packed, worker_entry

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# Open files of the driver of a local cluster, measured with room to spare (see tests/faults).
_FILES, _FILES_OF_A_WORKER = 64, 16
# Parcels in flight for each worker: one at work, and the next ones at hand.
_IN_FLIGHT = 3
# Workers that one task may lose before it counts as their killer.
LOST_WORKERS = 3
# Seconds between two looks at the cluster, and for the scheduler to answer.
_LOOK_EVERY = 2.0
_ANSWER_WITHIN = 60.0
# Seconds until a result that was lost is looked for again.
_LOST_RESULT_AGAIN = 0.2
# Seconds without any worker before a run gives up, where they run on this machine.
_LOCAL_PATIENCE = 180.0

_WORKER_SETTINGS = {
    "distributed.comm.timeouts.connect": "60s",
    # A look at the stack every 10 ms, for a page that nobody sees.
    "distributed.worker.profile.enabled": False,
    # The last messages to each worker, with all tasks in them: of a thousand by default.
    "distributed.admin.low-level-log-length": 10,
}
SETTINGS = {
    **_WORKER_SETTINGS,
    # BLAS reads these when it is loaded, so they must stand before a job's worker starts.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_VARIABLES, "1"),
    "distributed.scheduler.allowed-failures": LOST_WORKERS,
}


@contextmanager
def local_cluster(workers: int) -> Iterator[DaskCluster]:
    """Processes on this machine, one core each. Raises ClusterError where they cannot start."""
    import dask

    allow_open_files(_FILES + workers * _FILES_OF_A_WORKER)
    distributed: Any = import_module("distributed")
    silence_dask()
    with (
        dask.config.set(SETTINGS),
        _scheduler_here(distributed) as cluster,
        distributed.Client(cluster) as client,
    ):
        here = LocalWorkers(cluster.scheduler_address, workers, _WORKER_SETTINGS)
        try:
            yield DaskCluster(client, _LOCAL_PATIENCE, workers=workers, look=here.look)
        finally:
            here.close()


def _scheduler_here(distributed: Any) -> Any:
    try:
        return distributed.LocalCluster(
            n_workers=0,
            processes=True,
            # No dashboard; the scheduler's own page takes any free port of this machine.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise ClusterError(
            f"the scheduler cannot start here: {' '.join(str(error).split())}; run again, or "
            "give --workers 1"
        ) from error


@contextmanager
def scheduler_cluster(address: str, options: ClusterOptions) -> Iterator[DaskCluster]:
    """The workers of a scheduler that someone else runs.

    Raises ClusterError where no scheduler answers at the address.
    """
    import dask

    distributed: Any = import_module("distributed")
    silence_dask()
    with dask.config.set(SETTINGS):
        try:
            client = distributed.Client(address, timeout=f"{options.connect_seconds}s")
        except (OSError, ValueError, RuntimeError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}); "
                "start `dask scheduler` there, or give its address"
            ) from None
        try:
            with suppress(Exception):
                logger.info("dashboard: %s", client.dashboard_link)
            yield DaskCluster(client, options.patience_minutes(queue=False) * 60)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                client.close(timeout=_LOOK_EVERY)


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
        self._count = workers or 1
        self._looked = self._manned = time.monotonic()
        self._entry = worker_entry()

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        """The outcomes as they come.

        Raises ClusterError where the scheduler is lost or no worker has been there for too long.
        """
        parcels = Parcels(tasks, lambda task: packed((function, task)))
        flying: dict[Any, list[Item[Task]]] = {}
        arrived: SimpleQueue[Any] = SimpleQueue()
        self._manned = time.monotonic()
        self._check()
        try:
            self._fill(parcels, flying, arrived)
            while flying:
                for future, reply in self._replies(_arrivals(arrived), arrived):
                    parcel = flying.pop(future)
                    future.release()
                    yield from self._outcomes(parcel, reply, parcels)
                if time.monotonic() - self._looked > _LOOK_EVERY:
                    self._check()
                self._fill(parcels, flying, arrived)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                for future in flying:
                    future.release()

    def _fill(
        self,
        parcels: Parcels[Task],
        flying: dict[Any, list[Item[Task]]],
        arrived: SimpleQueue[Any],
    ) -> None:
        room = self._count * _IN_FLIGHT
        limits = parcel_limits(room, self._count)
        while len(flying) < room and (parcel := parcels.take(limits, idle=not flying)):
            parts = [item.packed for item in parcel]
            with self._alive():
                # Twice: tasks may turn out longer than those before them.
                future = self._client.submit(
                    self._entry, parts, __version__, 2 * limits.seconds, pure=False, key=None
                )
                future.add_done_callback(arrived.put)
            flying[future] = parcel

    def _replies(
        self, futures: Sequence[Any], arrived: SimpleQueue[Any]
    ) -> Iterator[tuple[Any, bytes | Exception]]:
        """What became of parcels: their outcomes, packed, or why there are none."""
        done = [future for future in futures if future.status == "finished"]
        data = self._gathered(done)
        replies = dict(zip(done, data, strict=False))
        for future in futures:
            if future in replies and replies[future] is not None:
                yield future, replies[future]
            elif future.status == "error":
                with self._alive():
                    error = future.exception()
                yield future, error or RuntimeError("no result")
            elif future.status == "cancelled":
                raise ClusterError(_LOST)
            else:  # its result was lost with its worker; the scheduler has it made again
                later = Timer(_LOST_RESULT_AGAIN, arrived.put, (future,))
                later.daemon = True
                later.start()

    def _gathered(self, futures: list[Any]) -> list[bytes | None]:
        """Their results; [] where that takes long, since a worker died with one of them."""
        if not futures:
            return []
        loop = self._client.loop.asyncio_loop
        with self._alive():
            asked = run_coroutine_threadsafe(self._client._gather(futures, errors="skip"), loop)
            try:
                return list(asked.result(_LOOK_EVERY))
            except TimeoutError:
                return []

    def _outcomes(
        self, parcel: list[Item[Task]], reply: bytes | Exception, parcels: Parcels[Task]
    ) -> Iterator[Outcome[Task, Any]]:
        """One a task that was done; the others go back into the parcels."""
        if isinstance(reply, bytes):
            outcomes, seconds = pickle.loads(reply)
            parcels.measured(len(outcomes), seconds)
            parcels.put_back(parcel[len(outcomes) :])
            for item, (result, error) in zip(parcel, outcomes, strict=False):
                yield Outcome(item.task, result, error)
        elif type(reply).__name__ == "KilledWorker" and len(parcel) > 1:
            # One of them may be their killer: which?
            parcels.put_back(parcel, apart=True)
        elif type(reply).__name__ == "KilledWorker" and not parcel[0].alone:
            # Dask blames all tasks that a lost worker had, those too that only waited there.
            parcels.put_last(parcel[0])
        else:
            if type(reply).__name__ == "KilledWorker":
                reply = ClusterError(
                    f"its worker died {LOST_WORKERS + 1} times with no other task under way "
                    "(killed for its memory, or a crash in native code?); "
                    f"see {self._where}, give more memory, run again"
                )
            for item in parcel:
                yield Outcome(item.task, None, reply)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Whatever goes wrong in talking to a scheduler that is lost is the loss of it."""
        try:
            yield
        except (GleeError, TimeoutError):
            raise
        except Exception as error:
            raise ClusterError(_LOST) from error

    def _check(self) -> None:
        """Count the workers and let the owner look after them."""
        client = self._client
        try:
            if client.status != "running":
                raise ClusterError(_LOST)
            with self._alive():
                cores = client.sync(client.scheduler.ncores, callback_timeout=_ANSWER_WITHIN)
        except TimeoutError as error:
            raise ClusterError(_LOST) from error
        self._looked = time.monotonic()
        self._look()
        if self._workers is None:
            self._count = max(1, sum(cores.values()))
        if cores:
            self._manned = self._looked
        elif self._looked - self._manned > self._patience:
            raise ClusterError(
                f"no worker for {self._patience / 60:.0f} minutes; see {self._where}, then run "
                "again: what is done stays"
            )


_LOST = "the Dask scheduler is gone or does not answer; run again: what is done stays"


def _arrivals(arrived: SimpleQueue[Any]) -> list[Any]:
    """All that have arrived, when there is one or it is time to look at the cluster."""
    futures = []
    with suppress(Empty):
        futures.append(arrived.get(timeout=_LOOK_EVERY))
        while True:
            futures.append(arrived.get_nowait())
    return futures


MOST_TASKS = 256
# Parcels a second that leave a Dask scheduler most of its core; see benchmarks/scheduler.py.
_PARCELS_A_SECOND = 64
_SHORTEST = 0.5
# Bytes of all parcels that are under way, however many workers there are.
_BYTES_UNDER_WAY = 256 << 20
# Weight of the latest parcel in the mean.
_LATEST = 0.3


class Item(NamedTuple, Generic[Task]):
    """A task, and what travels. alone: while nothing else is under way."""

    task: Task
    packed: bytes
    alone: bool = False


class Limits(NamedTuple):
    """How large a parcel may be. seconds: that it should last. size: bytes."""

    seconds: float
    size: float


def parcel_limits(parcels: int, workers: int) -> Limits:
    """For so many parcels under way to so many workers."""
    seconds = max(_SHORTEST, workers / _PARCELS_A_SECOND)
    return Limits(seconds, _BYTES_UNDER_WAY / max(1, parcels))


class Parcels(Generic[Task]):
    """Takes tasks as they are wanted, in parcels that last about as long, by those measured.

    The first ones hold one task each. A task that lasts longer travels alone.
    """

    def __init__(self, tasks: Iterable[Task], pack: Callable[[Task], bytes]) -> None:
        self._fresh: Iterator[Task] = iter(tasks)
        self._pack = pack
        self._returned: deque[list[Item[Task]]] = deque()
        self._alone: deque[Item[Task]] = deque()
        self._mean: float | None = None

    def take(self, limits: Limits, *, idle: bool) -> list[Item[Task]]:
        """The next tasks; [] where none are left, or none that may go now.

        idle: nothing is under way.
        """
        if self._returned:
            return self._returned.popleft()
        wanted = 1 if self._mean is None else int(limits.seconds / max(self._mean, 1e-9))
        parcel: list[Item[Task]] = []
        size = 0
        for task in self._fresh:
            parcel.append(Item(task, self._pack(task)))
            size += len(parcel[-1].packed)
            if len(parcel) >= min(wanted, MOST_TASKS) or size >= limits.size:
                break
        if not parcel and idle and self._alone:
            parcel = [self._alone.popleft()]
        return parcel

    def put_back(self, items: list[Item[Task]], *, apart: bool = False) -> None:
        """Tasks that came back undone; they go next. apart: one a parcel."""
        self._returned.extend([[item] for item in items] if apart else [items] if items else [])

    def put_last(self, item: Item[Task]) -> None:
        """A task that goes when all others are done, and alone."""
        self._alone.append(item._replace(alone=True))

    def measured(self, tasks: int, seconds: float) -> None:
        """A worker took that long for that many tasks."""
        if tasks:
            mean = seconds / tasks
            old = mean if self._mean is None else self._mean
            self._mean = (1 - _LATEST) * old + _LATEST * mean


# Dask gives some of them levels of their own, so that their parent's does not do.
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")


def silence_dask() -> None:
    """After `distributed` has been imported, which sets the levels."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]


def allow_open_files(needed: int) -> None:
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
