"""How a task travels to a worker: as bytes, to a function that needs nothing but Python there."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any


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
            from .cluster.tasks import attempt_packed
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
