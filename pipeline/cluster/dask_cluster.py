"""Tasks on Dask workers: few under way at a time, lost workers' tasks again, no waiting for ever.

`DaskCluster.run` reads from the top: it fills the cluster with parcels (several short tasks that
travel to a worker as one, so that the scheduler keeps up), takes their replies as they arrive, and
looks every few seconds whether scheduler and workers are still there.
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
from .options import ONE_THREAD, ClusterOptions
from .stuck_tasks import StuckTasks
from .tasks import Outcome, packed, worker_entry

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# Parcels in flight for each worker: one at work, and the next ones at hand.
_IN_FLIGHT = 3
# Workers that one task may lose before it counts as their killer.
LOST_WORKERS = 3
# Seconds between two looks at the cluster, and for the scheduler to answer.
LOOK_EVERY = 2.0
_ANSWER_WITHIN = 60.0
# Seconds until a result that was lost is looked for again.
_LOST_RESULT_AGAIN = 0.2
_LOST = "the Dask scheduler is gone or does not answer; run again: what is done stays"

SETTINGS = {
    "distributed.comm.timeouts.connect": "60s",
    # A look at the stack every 10 ms, for a page that nobody sees.
    "distributed.worker.profile.enabled": False,
    # The last messages to each worker, with all tasks in them: of a thousand by default.
    "distributed.admin.low-level-log-length": 10,
    # BLAS reads these when it is loaded, so they must stand before a worker starts.
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    "distributed.scheduler.allowed-failures": LOST_WORKERS,
}


@contextmanager
def scheduler_cluster(address: str, options: ClusterOptions) -> Iterator[DaskCluster]:
    """The workers of a scheduler that someone else runs.

    Parameters
    ----------
    address : tcp://host:port or tls://host:port
    options : how long to wait for the scheduler and for workers

    Raises
    ------
    ClusterError
        No scheduler answers at the address.
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
            yield DaskCluster(
                client,
                options.patience_minutes(queue=False) * 60,
                stuck_minutes=options.stuck_minutes,
            )
        finally:
            with suppress(Exception):  # the scheduler may be gone
                client.close(timeout=LOOK_EVERY)


class DaskCluster:
    """Runs tasks through a client; gives up where workers or scheduler are lost for good."""

    def __init__(
        self,
        client: Any,
        patience: float,
        *,
        workers: int | None = None,
        keep_workers: Callable[[], None] = lambda: None,
        log: str = "its log",
        stuck_minutes: float | None = None,
    ) -> None:
        """A cluster of which a client knows the scheduler.

        Parameters
        ----------
        client : distributed.Client
        patience : seconds without a worker before a run gives up
        workers : as many as there will be; None for those that the scheduler has
        keep_workers : called every few seconds, to put others in the place of lost workers
        log : what to read when workers do not come
        stuck_minutes : after which a worker without a result is ended; None for never
        """
        self._client = client
        self._patience = patience
        self._workers = workers
        self._keep_workers = keep_workers
        self._log = log
        self._count = workers or 1
        self._last_look = self._last_worker = time.monotonic()
        self._entry = worker_entry()
        self._stuck = StuckTasks(client, None if stuck_minutes is None else stuck_minutes * 60)

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        """Run a function on every task.

        Parameters
        ----------
        function : callable of one task
        tasks : taken as there is room for them

        Returns
        -------
        The outcomes as they come.

        Raises
        ------
        ClusterError
            The scheduler is lost, or no worker has been there for too long.
        """
        parcels = Parcels(tasks, lambda task: packed((function, task)))
        in_flight: dict[Any, list[PackedTask[Task]]] = {}
        arrived: SimpleQueue[Any] = SimpleQueue()
        self._last_worker = time.monotonic()
        self._look()
        try:
            self._fill(parcels, in_flight, arrived)
            while in_flight:
                for future, reply in self._replies(_take_all(arrived), arrived):
                    parcel = in_flight.pop(future)
                    future.release()
                    yield from self._outcomes(parcel, reply, parcels)
                if time.monotonic() - self._last_look > LOOK_EVERY:
                    self._look()
                    with self._scheduler_answers():
                        self._stuck.look(
                            {
                                future.key: [item.task for item in parcel]
                                for future, parcel in in_flight.items()
                            }
                        )
                self._fill(parcels, in_flight, arrived)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                for future in in_flight:
                    future.release()

    def _fill(
        self,
        parcels: Parcels[Task],
        in_flight: dict[Any, list[PackedTask[Task]]],
        arrived: SimpleQueue[Any],
    ) -> None:
        """Submit parcels as far as there is room for them."""
        room = self._count * _IN_FLIGHT
        limits = parcel_limits(room, self._count)
        while len(in_flight) < room and (parcel := parcels.take(limits, idle=not in_flight)):
            contents = [item.packed for item in parcel]
            with self._scheduler_answers():
                # Twice: tasks may turn out longer than those before them.
                future = self._client.submit(
                    self._entry, contents, __version__, 2 * limits.seconds, pure=False, key=None
                )
                future.add_done_callback(arrived.put)
            in_flight[future] = parcel

    def _replies(
        self, futures: Sequence[Any], arrived: SimpleQueue[Any]
    ) -> Iterator[tuple[Any, bytes | Exception]]:
        """What became of parcels: their outcomes, packed, or why there are none."""
        done = [future for future in futures if future.status == "finished"]
        replies = dict(zip(done, self._gathered(done), strict=False))
        for future in futures:
            if future in replies and replies[future] is not None:
                yield future, replies[future]
            elif future.status == "error":
                with self._scheduler_answers():
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
        with self._scheduler_answers():
            asked = run_coroutine_threadsafe(self._client._gather(futures, errors="skip"), loop)
            try:
                return list(asked.result(LOOK_EVERY))
            except TimeoutError:
                return []

    def _outcomes(
        self, parcel: list[PackedTask[Task]], reply: bytes | Exception, parcels: Parcels[Task]
    ) -> Iterator[Outcome[Task, Any]]:
        """One a task that was done; the others go back into the parcels."""
        if isinstance(reply, bytes):
            outcomes, seconds = pickle.loads(reply)
            parcels.measured(len(outcomes), seconds)
            parcels.requeue(parcel[len(outcomes) :])
            for item, (result, error) in zip(parcel, outcomes, strict=False):
                yield Outcome(item.task, result, error)
        elif type(reply).__name__ == "KilledWorker" and len(parcel) > 1:
            # One of them may be their killer: which?
            parcels.requeue(parcel, apart=True)
        elif type(reply).__name__ == "KilledWorker" and not parcel[0].alone:
            # Dask blames all tasks that a lost worker had, those too that only waited there.
            parcels.defer(parcel[0])
        else:
            if type(reply).__name__ == "KilledWorker":
                reply = ClusterError(
                    f"its worker died {LOST_WORKERS + 1} times with no other task under way "
                    "(killed for its memory, or a crash in native code?); "
                    f"see {self._log}, give more memory, run again"
                )
            for item in parcel:
                yield Outcome(item.task, None, reply)

    def _look(self) -> None:
        """Count the workers, and let their keeper replace the lost ones."""
        client = self._client
        try:
            if client.status != "running":
                raise ClusterError(_LOST)
            with self._scheduler_answers():
                cores = client.sync(client.scheduler.ncores, callback_timeout=_ANSWER_WITHIN)
        except TimeoutError as error:
            raise ClusterError(_LOST) from error
        self._last_look = time.monotonic()
        self._keep_workers()
        if self._workers is None:
            self._count = max(1, sum(cores.values()))
        if cores:
            self._last_worker = self._last_look
        elif self._last_look - self._last_worker > self._patience:
            raise ClusterError(
                f"no worker for {self._patience / 60:.0f} minutes; see {self._log}, then run "
                "again: what is done stays"
            )

    @contextmanager
    def _scheduler_answers(self) -> Iterator[None]:
        """Whatever goes wrong in talking to a scheduler that is lost is the loss of it."""
        try:
            yield
        except (GleeError, TimeoutError):
            raise
        except Exception as error:
            raise ClusterError(_LOST) from error


def _take_all(arrived: SimpleQueue[Any]) -> list[Any]:
    """The futures that have arrived, when there is one or it is time to look at the cluster."""
    futures = []
    with suppress(Empty):
        futures.append(arrived.get(timeout=LOOK_EVERY))
        while True:
            futures.append(arrived.get_nowait())
    return futures


# Tasks of one parcel at most.
MOST_TASKS = 256
# Parcels a second that leave a Dask scheduler most of its core; see benchmarks/scheduler.py.
_PARCELS_A_SECOND = 64
# Seconds that a parcel lasts at least, where its tasks are short.
_SHORTEST = 0.5
# Bytes of all parcels that are under way, however many workers there are.
_BYTES_UNDER_WAY = 256 << 20
# Weight of the latest parcel in the mean.
_LATEST = 0.3


class PackedTask(NamedTuple, Generic[Task]):
    """A task on its way.

    Attributes
    ----------
    task : as it was given
    packed : what travels
    alone : whether it goes only while nothing else is under way
    """

    task: Task
    packed: bytes
    alone: bool = False


class Limits(NamedTuple):
    """How large a parcel may be.

    Attributes
    ----------
    seconds : that it should last
    size : bytes
    """

    seconds: float
    size: float


def parcel_limits(parcels: int, workers: int) -> Limits:
    """How large parcels may be.

    Parameters
    ----------
    parcels : under way at a time
    workers : that share them

    Returns
    -------
    Longer parcels the more workers there are, smaller ones the more parcels.
    """
    seconds = max(_SHORTEST, workers / _PARCELS_A_SECOND)
    return Limits(seconds, _BYTES_UNDER_WAY / max(1, parcels))


class Parcels(Generic[Task]):
    """Takes tasks as they are wanted, in parcels that last about as long, by those measured.

    The first ones hold one task each. A task that lasts longer travels alone.
    """

    def __init__(self, tasks: Iterable[Task], pack: Callable[[Task], bytes]) -> None:
        self._fresh: Iterator[Task] = iter(tasks)
        self._pack = pack
        self._returned: deque[list[PackedTask[Task]]] = deque()
        self._deferred: deque[PackedTask[Task]] = deque()
        self._mean: float | None = None

    def take(self, limits: Limits, *, idle: bool) -> list[PackedTask[Task]]:
        """The next parcel.

        Parameters
        ----------
        limits : how large it may be
        idle : whether nothing is under way

        Returns
        -------
        Its tasks; [] where none are left, or none that may go now.
        """
        if self._returned:
            return self._returned.popleft()
        wanted = 1 if self._mean is None else int(limits.seconds / max(self._mean, 1e-9))
        parcel: list[PackedTask[Task]] = []
        size = 0
        for task in self._fresh:
            parcel.append(PackedTask(task, self._pack(task)))
            size += len(parcel[-1].packed)
            if len(parcel) >= min(wanted, MOST_TASKS) or size >= limits.size:
                break
        if not parcel and idle and self._deferred:
            parcel = [self._deferred.popleft()]
        return parcel

    def requeue(self, items: list[PackedTask[Task]], *, apart: bool = False) -> None:
        """Take back tasks that came back undone; they go next.

        Parameters
        ----------
        items : the tasks
        apart : one a parcel, instead of all in one
        """
        self._returned.extend([[item] for item in items] if apart else [items] if items else [])

    def defer(self, item: PackedTask[Task]) -> None:
        """Let a task go when all others are done, and alone.

        Parameters
        ----------
        item : the task, which may be the killer of its workers
        """
        self._deferred.append(item._replace(alone=True))

    def measured(self, tasks: int, seconds: float) -> None:
        """Learn how long tasks take.

        Parameters
        ----------
        tasks : that a worker did
        seconds : that it took for them
        """
        if tasks:
            mean = seconds / tasks
            old = mean if self._mean is None else self._mean
            self._mean = (1 - _LATEST) * old + _LATEST * mean


# Dask gives some of them levels of their own, so that their parent's does not do.
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")


def silence_dask() -> None:
    """Silence Dask's own logs: what a user must know, glee says in one line.

    To be called after `distributed` has been imported, which sets the levels.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
