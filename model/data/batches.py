"""The batches of a training, each a function of the seed and the step, and made ahead of it.

Batches are made ahead by a thread, or by processes of their own. A batch depends on the number of
its step alone, so neither the number of processes nor how they are started (fork or spawn) changes
what a step sees or in which order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ...errors import GleeError
from ...pipeline.cluster.tasks import one_opencv_thread
from ..distributed import World
from ..options import Schedule, TrainOptions
from .au_dataset import AUFrames, Batch, make_batch
from .augmentation import EpochDraw, draw_epoch

Item = TypeVar("Item")

# Batches that each process has ready.
_AHEAD = 2
# Batches of a process that have memory at once: the one in use, the one taken over for the next
# step, those that wait, the one that is made.
_MEMORIES = 3 + _AHEAD
# Bytes between the beginnings of arrays in a batch's memory, a multiple of this.
_ALIGNED = 64


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """The batches of a training: what is in a step's batch follows from the seed and the step.

    Attributes
    ----------
    frames : AUFrames
        All frames.
    indices : (n,) int64
        Frames to train on.
    size : int
        Of the crops, pixels.
    options : TrainOptions
        Of the run.
    schedule : Schedule
        Steps of the training.
    world : World
        The processes that share a batch.
    """

    frames: AUFrames
    indices: npt.NDArray[np.int64]
    size: int
    options: TrainOptions
    schedule: Schedule
    world: World
    _drawn: dict[int, EpochDraw] = field(default_factory=dict)

    def of_step(self, step: int) -> Batch:
        """Make this process's share of the batch of `step`."""
        epoch, position = divmod(step, self.schedule.steps_per_epoch)
        draw = self._draw(epoch)
        begin = position * self.schedule.batch
        where = draw.order[begin : begin + self.schedule.batch][self.world.rank :: self.world.size]
        return make_batch(self.frames, self.indices[where], self.size, draw, where)

    def _draw(self, epoch: int) -> EpochDraw:
        """The random choices of an epoch; the last epoch's are kept."""
        if epoch not in self._drawn:
            self._drawn.clear()
            self._drawn[epoch] = draw_epoch(
                len(self.indices),
                seed=self.options.seed,
                epoch=epoch,
                margin=self.frames.size - self.size,
                mirror=self.options.mirror,
                light=self.options.light,
                block=self.frames.block[self.indices],
            )
        return self._drawn[epoch]


def take_frames(batch: Batch, where: npt.NDArray[np.int64]) -> Batch:
    """Take some of a batch's frames.

    Parameters
    ----------
    batch : Batch
        b frames.
    where : (k,) int64
        Which of them, 0 to b - 1.

    Returns
    -------
    Batch
        k frames.
    """
    return Batch(**{item.name: getattr(batch, item.name)[where] for item in fields(batch)})


def split_batch(batch: Batch, count: int) -> list[Batch]:
    """Split a batch into nearly equal shares, for gradient accumulation.

    Parameters
    ----------
    batch : Batch
        b frames.
    count : int
        Shares.

    Returns
    -------
    list of Batch
        The shares, in the frames' order.
    """
    if count == 1:
        return [batch]
    every = np.arange(len(batch.index))
    return [take_frames(batch, where) for where in np.array_split(every, count)]


def batches_ahead(
    make: Callable[[int], Item],
    first: int,
    total: int,
    *,
    workers: int = 0,
    start: str | None = None,
    one_at_a_time: bool = False,
) -> Iterator[Item]:
    """Make the batches of the steps first .. total - 1 ahead of their use, in this order.

    Parameters
    ----------
    make : callable
        Step -> batch, a dataclass of arrays; with processes it must be picklable under "spawn".
    first, total : int
        The first step, and the one after the last.
    workers : int
        Processes; 0 for one thread of this process.
    start : str, optional
        "fork", "spawn" or None for the system's way.
    one_at_a_time : bool
        A batch of a process lasts until the next is asked for: its memory is used again, which is
        ten times as fast as new memory that is shared.

    Yields
    ------
    Item
        The batch of each step.

    Raises
    ------
    GleeError
        Of a process as it is; whatever else `make` raises.
    """
    if first >= total:
        return
    if not workers:
        yield from _by_thread(make, first, total)
        return
    loader: DataLoader[Any] = DataLoader(
        _Steps(make, again=one_at_a_time),
        batch_size=None,
        sampler=range(first, total),  # type: ignore[arg-type]
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        multiprocessing_context=start,
        worker_init_fn=_one_thread,
    )
    # A fork copies the list of OpenCV's threads and not the threads: a process that inherits the
    # list waits for them for ever, or crashes.
    with one_opencv_thread():
        started = iter(loader)
    memories: dict[tuple[int, int], torch.Tensor] = {}

    def taken(_: int) -> Item:
        made = next(started)
        if isinstance(made, GleeError):
            raise made
        if not one_at_a_time:
            memories.clear()
        batch: Item = made.unpacked(memories)
        return batch

    # To take a batch over is half a millisecond of work, done by a thread during the step before.
    yield from _by_thread(taken, first, total)


def _by_thread(make: Callable[[int], Item], first: int, total: int) -> Iterator[Item]:
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(make, first)
        for step in range(first + 1, total + 1):
            ready = following.result()
            if step < total:
                following = maker.submit(make, step)
            yield ready


class _Steps(Dataset[Any]):
    """What a process makes: a batch in shared memory, or the error instead.

    again: the batch that is used, those that are ready and the one that is made lie in memory of
    their own, which is sent once and used in turn.
    """

    def __init__(self, make: Callable[[int], Any], *, again: bool) -> None:
        self._make, self._again, self._count = make, again, 0
        self._memories: dict[int, torch.Tensor] = {}

    def __getitem__(self, step: int) -> Any:
        try:
            made = self._make(step)
        except GleeError as error:
            return error
        worker, place = get_worker_info(), self._count % _MEMORIES
        self._count += 1
        if not self._again:
            self._memories.clear()
        return _packed(made, self._memories, (0 if worker is None else worker.id, place))


@dataclass(frozen=True, eq=False)
class _ArrayView:
    """Where an array is in a batch's memory: first byte, type and shape."""

    begin: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """Past the last byte."""
        return self.begin + self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class _Packed:
    """A batch with views for its arrays, and one block of shared memory that holds them all.

    Each block is a file descriptor that is sent, received and mapped, which costs the process that
    uses it more than all else of a batch. So memory has a number, and comes along when it is new.
    """

    item: Any
    number: tuple[int, int]
    memory: torch.Tensor | None

    def unpacked(self, memories: dict[tuple[int, int], torch.Tensor]) -> Any:
        """The batch, its arrays in the shared memory, which lives as long as one of them."""
        if self.memory is not None:
            memories[self.number] = self.memory
        memory = memories[self.number].numpy()
        return _changed(
            self.item,
            _ArrayView,
            lambda at: memory[at.begin : at.end].view(at.dtype).reshape(at.shape),
        )


def _packed(item: Any, memories: dict[int, torch.Tensor], number: tuple[int, int]) -> _Packed:
    arrays: list[tuple[_ArrayView, np.ndarray[Any, Any]]] = []

    def claim(array: np.ndarray[Any, Any]) -> _ArrayView:
        begin = -(-arrays[-1][0].end // _ALIGNED) * _ALIGNED if arrays else 0
        arrays.append((_ArrayView(begin, array.dtype, array.shape), array))
        return arrays[-1][0]

    placed = _changed(item, np.ndarray, claim)
    size = arrays[-1][0].end if arrays else 0
    memory, new = memories.get(number[1]), None
    if memory is None or len(memory) < size:
        memory = new = torch.empty(size, dtype=torch.uint8)
        new.share_memory_()  # type: ignore[no-untyped-call]
        memories[number[1]] = new
    content = memory.numpy()
    for at, array in arrays:
        content[at.begin : at.end].view(at.dtype).reshape(at.shape)[...] = array
    return _Packed(placed, number, new)


def _changed(item: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """A dataclass with everything of one kind in it changed, also in dataclasses inside."""
    if isinstance(item, kind):
        return change(item)
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item
    values = {
        one.name: _changed(getattr(item, one.name), kind, change)
        for one in dataclasses.fields(item)
    }
    return dataclasses.replace(item, **values)


def _as_it_is(item: Any) -> Any:
    return item


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
