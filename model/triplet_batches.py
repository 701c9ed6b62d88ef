"""The batches of a pre-training: a table's triplets, or triplets drawn among a step's faces.

Drawn triplets share their faces: a face is loaded and embedded once a step, and takes part in some
twenty triplets. Three fresh faces for each triplet cost as much and teach a compact network from
random weights nothing (docs/experiments.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .data.au_dataset import AUFrames, Batch, make_batch
from .data.augmentation import draw_epoch
from .data.triplets import Triplets, draw_triplets
from .distributed import World
from .schedule import Schedule

# Of the random choices of a step, beside those of an epoch's order and of crops.
_FACES, _TRIPLETS = 1, 2


@dataclass(frozen=True, eq=False)
class TripletBatch:
    """b triplets over m faces.

    place: (b, 3) int64, anchor, positive and negative among the faces. margin: (b,) float32.
    """

    faces: Batch
    place: npt.NDArray[np.int64]
    margin: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TripletBatches:
    """What is in a step's batch follows from the seed and the step.

    triplets: of a table, shuffled each epoch; each face of a triplet gets its own random crop and
    mirror. pool: (n,) frames, instead: each step draws 3 `batch` of them, and the option's number
    of shared triplets among these. size: of the crops, pixels.
    """

    frames: AUFrames
    triplets: Triplets
    pool: npt.NDArray[np.int64] | None
    size: int
    schedule: Schedule
    world: World

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of those that may be seen."""
        seen = self.triplets.index[:, 0] if self.pool is None else self.pool
        return tuple(sorted({str(name) for name in self.frames.subject[seen]}))

    def of_step(self, step: int) -> TripletBatch:
        """This process's share of a step's triplets."""
        whole = self._of_table(step) if self.pool is None else self._drawn(step, self.pool)
        each = len(whole) // self.world.size
        mine = slice(self.world.rank, each * self.world.size, self.world.size)
        index, margin = whole.index[mine], whole.margin[mine]
        if self.pool is None:
            used = index.T.reshape(-1)
            place = np.arange(len(used)).reshape(3, -1).T
        else:
            used, found = np.unique(index, return_inverse=True)
            place = found.reshape(-1, 3)
        options = self.schedule.options
        draw = draw_epoch(
            len(used),
            seed=options.seed,
            epoch=step * self.world.size + self.world.rank,
            margin=self.frames.size - self.size,
            mirror=options.mirror,
            light=options.light,
        )
        faces = make_batch(self.frames, used, self.size, draw, np.arange(len(used)))
        return TripletBatch(faces, place, margin)

    def frame_names(self, batch: TripletBatch, chosen: npt.NDArray[np.bool_]) -> list[str]:
        """Names of the frames of some of a batch's triplets (b,)."""
        indices = batch.faces.index[np.unique(batch.place[chosen])]
        return [self.frames.frame_name(int(index)) for index in indices]

    def _of_table(self, step: int) -> Triplets:
        epoch, position = divmod(step, self.schedule.steps_per_epoch)
        random = np.random.default_rng([self.schedule.options.seed, epoch])
        begin = position * self.schedule.batch
        chosen = random.permutation(len(self.triplets))[begin : begin + self.schedule.batch]
        return Triplets(self.triplets.index[chosen], self.triplets.margin[chosen])

    def _drawn(self, step: int, pool: npt.NDArray[np.int64]) -> Triplets:
        options = self.schedule.options
        random = np.random.default_rng([options.seed, step, _FACES])
        faces = random.choice(pool, min(3 * self.schedule.batch, len(pool)), replace=False)
        seed = [options.seed, step, _TRIPLETS]
        drawn = draw_triplets(self.frames, faces, options.shared_triplets, seed)
        return drawn.with_margin(options.margin)
