"""A task: how it travels to a worker, how it is run there, and what became of it.

The driver packs function and task as bytes (`packed`) and sends `worker_entry`, a function that
needs nothing but Python on the other side. There `attempt_packed` unpacks and runs them. `attempt`
is the edge of a task, in this process or on a worker: whatever the task raises is recorded.
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

from ... import __version__
from ...errors import ClusterError, GleeError, unexpected

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of a task.

    Attributes
    ----------
    task : as it was given
    result : what the function returned; None where it raised
    error : what it raised: a GleeError as it was, anything else as a RuntimeError of one line and
        the traceback behind it
    """

    task: Task
    result: Result | None
    error: Exception | None


def packed(pair: tuple[Any, Any]) -> bytes:
    """Function and task as bytes.

    Parameters
    ----------
    pair : (function, task). Names of `__main__` do not exist on a worker; what uses them is packed
        by value, which Dask's slower pickle does
    """
    with suppress(Exception):
        plain = pickle.dumps(pair)
        if b"__main__" not in plain:
            return plain
    return bytes(import_module("distributed.protocol.pickle").dumps(pair))


def worker_entry() -> Callable[[Sequence[bytes], str, float], bytes]:
    """What a worker runs.

    Returns
    -------
    `attempt_packed` inside a function that travels whole, so that a worker without glee can say so.
    """

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


def attempt_packed(packed: Sequence[bytes], version: str, seconds: float) -> bytes:
    """`attempt` of several tasks on a worker, with one thread; all in bytes.

    Parameters
    ----------
    packed : (function, task) pairs from the process that submitted them, pickled. Unpacked here
        and not by Dask, whose worker drops its connection, and the run waits for ever, where an
        import fails
    version : of the glee that submits
    seconds : after which no further task is begun

    Returns
    -------
    Pickled (outcomes of the first tasks, at least one, each (result, error); seconds they took).
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


def attempt(
    function: Callable[[Task], Result], task: Task
) -> tuple[Result | None, Exception | None]:
    """Run one task; the other tasks go on whatever it raises.

    Returns
    -------
    (result, None), or (None, error).
    """
    try:
        return function(task), None
    except GleeError as error:
        return None, error
    except Exception as error:
        # As text, since not every error can travel between processes.
        trace = traceback.format_exc()
        logger.debug("a task failed:\n%s", trace)
        return None, RuntimeError(f"{unexpected(error)}; please report it\n{trace}")


def limit_threads(cores: int) -> None:
    """Give OpenCV, Numba and torch, as far as they are loaded, a number of threads.

    Parameters
    ----------
    cores : threads of each, 1 in a worker, which has one core
    """
    cv2.setNumThreads(cores)
    numba = sys.modules.get("numba")
    # Where it has no more, as in workers of this machine, it need not start any.
    if numba is not None and cores < numba.config.NUMBA_NUM_THREADS:
        numba.set_num_threads(cores)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cores)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch while the block runs.

    Sums then do not depend on the machine, and a worker keeps to its core.
    """
    torch: Any = import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """One thread for OpenCV while the block runs; others come back when it next needs them.

    Pictures of faces are small: to hand half of one to a second thread takes as long as the work.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
