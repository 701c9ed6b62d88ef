"""Tasks that do not come to an end: named after minutes and, where asked for, done by others.

A worker that dies is noticed at once. One that is stopped, or that waits for a file system that is
gone, keeps its tasks for ever, and the run waits with it. Nobody can tell such a worker from one
with a long task, so its tasks are named, and ended only where the user says after how long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

logger = logging.getLogger(__name__)

# Seconds until a task is named; a chunk of 1024 frames takes about 16, on a slow core and a slow
# disk some times that.
NAMED_AFTER = 300.0
# Seconds between two looks, and for a worker to be started anew.
_LOOK_EVERY = 10.0
_RESTART_WITHIN = 30.0
_SHOWN = 3


class StuckTasks:
    """Looks for how long each worker has been at what it is doing."""

    def __init__(self, client: Any, ended_after: float | None) -> None:
        """Look at a scheduler's workers.

        Parameters
        ----------
        client : distributed.Client
        ended_after : float or None
            Seconds until a worker's process is ended and its tasks go to others; None for never.
        """
        self._client = client
        self._ended_after = ended_after
        self._looked = 0.0
        # Worker -> the parcel that it does, since when, and whether that has been said.
        self._doing: dict[str, tuple[Any, float, bool]] = {}

    def look(self, parcels: Mapping[Any, Sequence[Any]]) -> None:
        """Name what has lasted too long, and end it where that is wanted.

        Parameters
        ----------
        parcels : mapping
            Key of each parcel under way -> its tasks.
        """
        now = time.monotonic()
        every = min(_LOOK_EVERY, NAMED_AFTER / 2, (self._ended_after or NAMED_AFTER) / 2)
        if now - self._looked < every:
            return
        self._looked = now
        processing = self._client.sync(self._client.scheduler.processing, workers=None)
        doing = {}
        for worker, keys in processing.items():
            # In the order in which they came; a worker of one thread is at the first.
            first = next((key for key in keys if key in parcels), None)
            if first is None:
                continue
            before = self._doing.get(worker)
            same = before is not None and before[0] == first
            doing[worker] = before if before is not None and same else (first, now, False)
        self._doing = doing
        for worker, (key, since, said) in list(doing.items()):
            self._judge(worker, key, parcels[key], now - since, said=said)

    def _judge(
        self, worker: str, key: Any, tasks: Sequence[Any], seconds: float, *, said: bool
    ) -> None:
        what = ", ".join(map(task_label, tasks[:_SHOWN]))
        what += f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
        if self._ended_after is not None and seconds > self._ended_after:
            logger.warning(
                "%s: no result for %.0f minutes; its worker is ended, and others do it",
                *(what, seconds / 60),
            )
            del self._doing[worker]
            with suppress(Exception):  # one that does not come back is replaced by its keeper
                self._client.restart_workers(
                    [worker], timeout=_RESTART_WITHIN, raise_for_error=False
                )
        elif seconds > NAMED_AFTER and not said:
            logger.warning(
                "%s: no result for %.0f minutes (worker %s). Is its process stopped, or its file "
                "system gone? With `stuck_minutes` in [cluster] such a worker is ended",
                *(what, seconds / 60, worker),
            )
            _, since, _ = self._doing[worker]
            self._doing[worker] = (key, since, True)


def task_label(task: Any) -> str:
    """Say which task it is.

    Parameters
    ----------
    task : object
        With a `label`, or anything.

    Returns
    -------
    str
        Its label, or what it looks like, cut short.
    """
    label = getattr(task, "label", None)
    return label if isinstance(label, str) else repr(task)[:60]
