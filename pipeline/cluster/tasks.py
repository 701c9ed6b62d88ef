"""The edge of a task, in this process or on a worker: whatever it raises is recorded."""

from __future__ import annotations

import logging
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

import cv2

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
