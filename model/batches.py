"""The batches of a training, each a function of the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from .data.au_dataset import AUFrames, Batch, make_batch
from .data.augmentation import EpochDraw, draw_epoch
from .distributed import World
from .options import TrainOptions
from .schedule import Schedule


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """The batches of a training: what is in a step's batch follows from the seed and the step.

    indices: (n,) frames to train on. size: of the crops, pixels.
    """

    frames: AUFrames
    indices: npt.NDArray[np.int64]
    size: int
    options: TrainOptions
    schedule: Schedule
    world: World
    _drawn: dict[int, EpochDraw] = field(default_factory=dict)

    def of_step(self, step: int) -> Batch:
        """This process's share of a step's batch."""
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
    """Some of a batch's frames. where: their places in it."""
    return Batch(**{item.name: getattr(batch, item.name)[where] for item in fields(batch)})


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """A batch as nearly equal parts, for gradient accumulation."""
    if parts == 1:
        return [batch]
    places = np.arange(len(batch.index))
    return [take_frames(batch, where) for where in np.array_split(places, parts)]
