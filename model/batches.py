"""The batches of a training, one made ahead while the network works on another."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .au_dataset import AUFrames, Batch, make_batch
from .augmentation import EpochDraw, draw_epoch
from .distributed import World
from .options import TrainOptions
from .schedule import Schedule


def training_batches(
    frames: AUFrames,
    indices: npt.NDArray[np.int64],
    size: int,
    options: TrainOptions,
    schedule: Schedule,
    first: int,
    world: World,
) -> Iterator[Batch]:
    """This process's share of the batches from step `first` on.

    A batch depends on the seed and its step alone. indices: (n,) frames to train on. size: of the
    crops, pixels.
    """

    @lru_cache(maxsize=1)
    def draw(epoch: int) -> EpochDraw:
        return draw_epoch(
            len(indices),
            seed=options.seed,
            epoch=epoch,
            margin=frames.size - size,
            mirror=options.mirror,
            light=options.light,
        )

    def batch(step: int) -> Batch:
        epoch, position = divmod(step, schedule.steps_per_epoch)
        begin = position * schedule.batch
        where = draw(epoch).order[begin : begin + schedule.batch][world.rank :: world.size]
        return make_batch(frames, indices[where], size, draw(epoch), where)

    if first >= schedule.total:
        return
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(batch, first)
        for step in range(first + 1, schedule.total + 1):
            ready = following.result()
            if step < schedule.total:
                following = maker.submit(batch, step)
            yield ready


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """A batch as nearly equal parts, for gradient accumulation."""
    if parts == 1:
        return [batch]
    columns = {
        item.name: np.array_split(getattr(batch, item.name), parts) for item in fields(batch)
    }
    return [
        Batch(**{name: column[part] for name, column in columns.items()}) for part in range(parts)
    ]
