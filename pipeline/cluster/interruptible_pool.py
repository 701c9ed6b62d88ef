"""A function on many items in processes that Ctrl-C ends at once, each leaving no half file.

Those of concurrent.futures finish what is queued before the interruption is told.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Windows has no masks of signals; its processes may print a traceback while they start.
_MASKS = hasattr(signal, "pthread_sigmask")
# Of a process of the pool: whether it was told to end, and whether a job is to be ended.
_interrupted = False
_at_work = False


def map_in_processes(
    job: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> list[Result]:
    """`job` of every item, in order; job and items are pickled.

    Raises what a job raises, and KeyboardInterrupt, after the jobs at work have cleaned up.
    """
    others = set(active_children())
    with ProcessPoolExecutor(
        min(workers, len(items)), mp_context=get_context("spawn"), initializer=_listen
    ) as pool:
        try:
            with _deaf_start():
                results = pool.map(partial(_unless_interrupted, job), items)
            return list(results)
        except BaseException:
            for process in set(active_children()) - others:
                if process.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGINT)
            raise


@contextmanager
def _deaf_start() -> Iterator[None]:
    """Processes that start meanwhile hear of Ctrl-C from `_listen` on; this one, at the end."""
    if not _MASKS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen() -> None:
    signal.signal(signal.SIGINT, _interrupt)
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _interrupt(number: int, frame: Any) -> None:
    """Once: the terminal tells every process, and the first one tells them too."""
    global _interrupted
    if not _interrupted:
        _interrupted = True
        if _at_work:
            raise KeyboardInterrupt


def _unless_interrupted(job: Callable[[Item], Result], item: Item) -> Result:
    global _at_work
    if _interrupted:
        raise KeyboardInterrupt
    _at_work = True
    try:
        return job(item)
    finally:
        _at_work = False
