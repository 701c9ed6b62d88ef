"""Outcome, attempt, packing, threads: what a worker runs.

The edge of a task, in this process or on a worker: whatever it raises is recorded.

How a task travels to a worker: as bytes, to a function that needs nothing but Python there.

How many threads torch takes inside a worker.
"""

from __future__ import annotations

import logging
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import Any, Generic, TypeVar

import cv2
import torch

from ... import __version__
from ...errors import ClusterError, GleeError

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")


def attempt(
    function: Callable[[Task], Result], task: Task
) -> tuple[Result | None, Exception | None]:
    """The task's result, or its error; the other tasks go on."""
    try:
        return function(task), None
    except GleeError as error:
        return None, error
    except Exception as error:
        # As text, since not every error can travel between processes.
        trace = traceback.format_exc()
        logger.debug("a task failed:\n%s", trace)
        return None, RuntimeError(f"{type(error).__name__}: {error}\n{trace}")


def attempt_packed(packed: Sequence[bytes], version: str, seconds: float) -> bytes:
    """`attempt` of several tasks on a worker, with one thread; all in bytes.

    packed: pickled (function, task) pairs from the process that submitted them. Unpacked here and
    not by Dask, whose worker drops its connection, and the run waits for ever, where an import
    fails. version: of the glee that submits. seconds: after which no further task is begun.

    Returns the pickled outcomes of the first tasks, at least one, and the seconds they took.
    """
    begin = perf_counter()
    error: Exception | None = None
    if version != __version__:
        error = ClusterError(
            f"workers have glee {__version__}, this is {version}; install the same on both"
        )
        return pickle.dumps(([(None, error)] * len(packed), 0.0))
    outcomes: list[tuple[Any, Exception | None]] = []
    for pair in packed:
        outcomes.append(_attempt_one(pair, first=not outcomes))
        if perf_counter() - begin > seconds:
            break
    return pickle.dumps((outcomes, perf_counter() - begin))


def _attempt_one(packed: bytes, *, first: bool) -> tuple[Any, Exception | None]:
    try:
        function, task = pickle.loads(packed)
        if first:
            limit_threads(1)
    except Exception as failure:
        return None, ClusterError(
            f"a worker cannot load a task ({type(failure).__name__}: {failure}); "
            "give the workers the same environment and folders as this machine"
        )
    return attempt(function, task)


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of a task: its result, or the error that it raised."""

    task: Task
    result: Result | None
    error: Exception | None


def limit_threads(cores: int) -> None:
    """Give OpenCV, Numba and torch, as far as they are loaded, this many threads."""
    cv2.setNumThreads(cores)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(cores, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cores)


def packed(pair: tuple[Any, Any]) -> bytes:
    """Function and task as bytes; by Dask's slower way where Python's own does not do."""
    with suppress(Exception):
        plain = pickle.dumps(pair)
        if b"__main__" not in plain:
            return plain
    return bytes(import_module("distributed.protocol.pickle").dumps(pair))


def worker_entry() -> Callable[[Sequence[bytes], str, float], bytes]:
    """What a worker runs, as a function that travels whole, so that its glee may be missing."""

    def enter(packed: Sequence[bytes], version: str, seconds: float) -> bytes:
        try:
            from glee.pipeline.cluster.tasks import attempt_packed
        except Exception as error:
            import pickle
            import sys

            text = (
                f"a worker cannot import glee ({type(error).__name__}: {error}); "
                f"its Python is {sys.executable}: install glee there or give another `python`"
            )
            return pickle.dumps(([(None, RuntimeError(text))] * len(packed), 0.0))
        return attempt_packed(packed, version, seconds)

    return enter


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: sums do not depend on the machine, and a worker keeps to its core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
