"""Parcels: several short tasks that travel to a worker as one, so that a scheduler keeps up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

Task = TypeVar("Task")

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
