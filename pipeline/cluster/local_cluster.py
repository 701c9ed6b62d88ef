"""Workers of this machine: Dask's LocalCluster, its processes forked from one that has imported.

A worker that is killed gets a successor, while it starts as later: one that has served, from its
nanny (Dask's keeper of one worker, a part of this process); one whose nanny gave up, from
`_WorkerKeeper`. When this process ends, however it does, its workers end too.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from asyncio import run_coroutine_threadsafe
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import active_children, forkserver, resource_tracker
from typing import Any

from ...errors import ClusterError
from .dask_cluster import SETTINGS, DaskCluster, silence_dask
from .options import ONE_THREAD, WORKER_NAME
from .security import LOOPBACK, NO_PAGES, run_security

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

# Ends of workers before they serve, one after the other, that are borne before a run gives up.
FAILED_STARTS = 12
# Seconds without any worker before a run gives up.
_PATIENCE = 180.0
# Seconds that a nanny may be without a worker; it may be about to start one.
_LOST_AFTER = 20.0
# Seconds for the cluster to close.
_GOODBYE = 20.0
# Open files of this process, measured with room to spare (see tests/faults).
_FILES, _FILES_OF_A_WORKER = 64, 16

_FORKSERVER = "glee.pipeline.cluster.forkserver"
# What this process has loaded of these, its workers will need.
_PRELOADED = ("glee.pipeline.", "glee.fitting.")
# No stage needs these, and pyarrow behind them starts a thread, which a fork would not copy.
_NOT_PRELOADED = "glee.pipeline.analysis"


@contextmanager
def local_cluster(workers: int, stuck_minutes: float | None = None) -> Iterator[DaskCluster]:
    """Processes on this machine, one core each.

    Parameters
    ----------
    workers : processes
    stuck_minutes : without a result, after which one is ended; None for never

    Raises
    ------
    ClusterError
        The scheduler cannot start, or too few open files are allowed; later, workers end again and
        again while they start.
    """
    import dask

    allow_open_files(_FILES + workers * _FILES_OF_A_WORKER)
    distributed: Any = import_module("distributed")
    silence_dask()
    settings = {
        **SETTINGS,
        **NO_PAGES,
        # Of the forkserver, not of this process, in which Numba and BLAS go on as they are.
        "distributed.nanny.pre-spawn-environ": {},
    }
    with (
        # Dask sets it here for its workers.
        _variable("PYTHONHASHSEED", os.environ.get("PYTHONHASHSEED")),
        # Else processes that begin import from the current folder what Python's library has too.
        _variable("PYTHONSAFEPATH", "1"),
        dask.config.set({**settings, "distributed.worker.multiprocessing-method": _forkserver()}),
        _scheduler_here(distributed) as cluster,
        distributed.Client(cluster) as client,
    ):
        keeper = _WorkerKeeper(cluster, workers)
        try:
            yield DaskCluster(
                client,
                _PATIENCE,
                workers=workers,
                keep_workers=keeper.look,
                stuck_minutes=stuck_minutes,
            )
        finally:
            keeper.end_workers()


def _forkserver() -> str:
    """Start the process that imports once and forks every worker; the name of this method.

    It starts while this process starts the scheduler, stays until this process ends, and is started
    again by multiprocessing where it was killed.
    """
    if sys.platform == "win32":
        return "spawn"
    # Else Dask puts a list of its own in the place of ours, and imports pandas to make it.
    vars(import_module("distributed.utils"))["_forkserver_preload_set"] = True
    modules = [_FORKSERVER]
    if sys.platform.startswith("linux"):  # elsewhere, what libraries hold may not survive a fork
        modules += [
            name
            for name in sys.modules
            if name.startswith(_PRELOADED) and not name.startswith(_NOT_PRELOADED)
        ]
    forkserver.set_forkserver_preload(modules)
    # It cleans up where this process is killed or its terminal closed, and need not say so.
    ignored = "ignore:resource_tracker:UserWarning"
    warnings = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), ignored)))
    with _variable("PYTHONWARNINGS", warnings), _hangup_ignored():
        resource_tracker.ensure_running()
    forkserver.ensure_running()
    return "forkserver"


@contextmanager
def _hangup_ignored() -> Iterator[None]:
    """A process that starts meanwhile outlives the terminal, until nobody needs it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """An environment variable's value (None: none) for a block; afterwards it is as before."""
    before = os.environ.get(name)
    _set_variable(name, value)
    try:
        yield
    finally:
        _set_variable(name, before)


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _scheduler_here(distributed: Any) -> Any:
    """A LocalCluster without workers: started with it, one that fails would fail the cluster."""
    try:
        return distributed.LocalCluster(
            n_workers=0,
            processes=True,
            threads_per_worker=1,
            # Results are small: nothing to spill, nothing to pause for.
            memory_limit=0,
            # The forkserver may be older than what stands there now.
            env={**os.environ, **ONE_THREAD},
            security=run_security(),
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise ClusterError(
            f"the scheduler cannot start here: {' '.join(str(error).split())}; run again, or "
            "give --workers 1"
        ) from error


class _WorkerKeeper:
    """Keeps as many workers as wanted: replaces those whose nannies gave up."""

    def __init__(self, cluster: Any, count: int) -> None:
        self._cluster, self._count = cluster, count
        # Name of a nanny -> when it was last seen with a worker; its worker's process.
        self._seen: dict[Any, float] = {}
        self._serving: set[int] = set()
        self._failures = 0
        self._renewal: Future[None] | None = None
        cluster.scale(count)

    def look(self) -> None:
        """Start workers in the place of lost ones.

        Raises
        ------
        ClusterError
            Workers do not come up again and again.
        """
        if self._renewal is not None and not self._renewal.done():
            return
        lost = self._lost()
        self._failures += len(lost)
        if self._failures > FAILED_STARTS:
            raise ClusterError(
                f"workers of this machine ended {self._failures} times while they started "
                "(killed for memory?); give fewer workers, run again: what is done stays"
            )
        loop = self._cluster.loop.asyncio_loop
        self._renewal = run_coroutine_threadsafe(self._renew(lost), loop)

    def _lost(self) -> list[Any]:
        """Names of nannies that gave up, or that have had no worker for long."""
        now = time.monotonic()
        nannies = dict(self._cluster.workers)
        serving = {
            nanny.pid
            for nanny in nannies.values()
            if nanny.status.name == "running" and nanny.is_alive()
        }
        if serving - self._serving:
            self._failures = 0
        self._serving = serving
        self._seen = {
            name: now if nanny.is_alive() else self._seen.get(name, now)
            for name, nanny in nannies.items()
        }
        return [
            name
            for name, nanny in nannies.items()
            if nanny.status.name in ("failed", "closed") or now - self._seen[name] > _LOST_AFTER
        ]

    async def _renew(self, lost: list[Any]) -> None:
        # Two steps, since successors may have the names of those that go.
        if lost:
            with suppress(Exception):  # one that fails again is seen at the next look
                await self._cluster.scale_down(lost)
        self._cluster.scale(self._count)

    def end_workers(self) -> None:
        """End all workers at once; what they are at is not wanted any more."""
        ending = run_coroutine_threadsafe(self._end_workers(), self._cluster.loop.asyncio_loop)
        with suppress(Exception):  # what is left ends with this process
            ending.result(_GOODBYE)

    async def _end_workers(self) -> None:
        self._count = 0
        for nanny in list(self._cluster.workers.values()):
            if nanny.status.name == "running":
                nanny.close_gracefully()  # it is not to start another
        # Those too that have not come up yet, which the cluster would wait for.
        for process in active_children():
            if process.name.startswith(WORKER_NAME):
                process.kill()


def allow_open_files(needed: int) -> None:
    """Raise this process's limit of open files to what a local cluster needs.

    Parameters
    ----------
    needed : open files

    Raises
    ------
    ClusterError
        The system does not allow as many.
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
