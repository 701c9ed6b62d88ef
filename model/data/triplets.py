"""Triplets of faces for the pre-training, and their batches.

Triplets come from FEC's table or are drawn from labelled frames. Drawn triplets share their faces:
a face is loaded and embedded once a step, and takes part in some twenty triplets. Three fresh faces
for each triplet cost as much and teach a compact network from random weights nothing
(docs/experiments.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...pipeline.datasets.fec import MARGINS
from ...pipeline.datasets.triplets import TRIPLET_FILE, shard_triplets
from ..distributed import World
from ..options import Schedule
from .au_dataset import AUFrames, Batch, make_batch
from .augmentation import draw_epoch

# Margin of triplets that no person has typed: that of most of FEC's.
DRAWN_MARGIN = MARGINS["THREE_CLASS_TRIPLET"]
# A subject in so many is held out where the data has no test split of its own.
HELD_OUT = 5

# Of the random choices of a step, beside those of an epoch's order and of crops.
_FACES, _TRIPLETS = 1, 2


@dataclass(frozen=True, eq=False)
class Triplets:
    """n triplets over frames; anchor and positive are the two that look most alike.

    Attributes
    ----------
    index : (n, 3) int64
        Frames: anchor, positive, negative.
    margin : (n,) float32
        Of Eq. 4, squared distances of unit vectors.
    """

    index: npt.NDArray[np.int64]
    margin: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)

    def some(self, most: int, seed: int) -> Self:
        """Give `most` of the triplets, drawn from the `seed`, in their order; 0 gives all."""
        if not 0 < most < len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return replace(self, index=self.index[chosen], margin=self.margin[chosen])

    def with_margin(self, margin: float) -> Self:
        """Give all triplets one `margin`; 0 keeps each triplet's own."""
        return replace(self, margin=np.full_like(self.margin, margin)) if margin else self


def find_triplets(
    work: Path, frames: AUFrames, *, count: int, seed: int
) -> tuple[Triplets, Triplets]:
    """Find triplets to train on and held-out ones.

    They come from the table of triplets in the work folder (splits "train" and "test"); without one
    they are drawn from the labels: `count` of the training subjects, a quarter as many of held-out
    subjects.

    Parameters
    ----------
    work : Path
        The work folder.
    frames : AUFrames
        Its frames.
    count : int
        Triplets to draw where there is no table.
    seed : int
        Of the held-out subjects and of the draw.

    Returns
    -------
    (Triplets, Triplets)
        To train on, and held out.

    Raises
    ------
    DataError
        Where the table cannot be used or the labels do not allow triplets.
    """
    if (work / TRIPLET_FILE).exists():
        return _from_table(work, frames, "train"), _from_table(work, frames, "test")
    if len(frames.subjects) < 4 or not frames.au_names or not count:
        raise DataError(
            f"{work}: has no table of triplets and cannot give any from labels; it needs labels of "
            "4 subjects or more and a number of triplets"
        )
    train = draw_triplets(frames, faces_to_draw_from(frames, seed), count, [seed, 0])
    held_out = _labelled(frames, _held_out(frames, seed))
    return train, draw_triplets(frames, held_out, max(count // 4, 1), [seed, 1])


def faces_to_draw_from(frames: AUFrames, seed: int) -> npt.NDArray[np.int64]:
    """Choose the frames that triplets are drawn of where there is no table.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    seed : int
        Of the held-out subjects.

    Returns
    -------
    (n,) int64
        Frames with labels, of subjects that are not held out.
    """
    return _labelled(frames, set(frames.subjects) - _held_out(frames, seed))


def _labelled(frames: AUFrames, subjects: set[str]) -> npt.NDArray[np.int64]:
    indices = frames.of_subjects(subjects)
    return indices[(frames.labels[indices] >= 0).any(1)]


def _held_out(frames: AUFrames, seed: int) -> set[str]:
    drawn = np.random.default_rng(seed).permutation(list(frames.subjects))
    return {str(name) for name in drawn[::HELD_OUT]}


def draw_triplets(
    frames: AUFrames, indices: npt.NDArray[np.int64], count: int, seed: list[int]
) -> Triplets:
    """Draw triplets as a person might judge them: the negative has the most other Action Units.

    Three frames are drawn, and the two whose labels differ in the fewest AUs are alike; where that
    does not single out one, or a frame was drawn twice, the draw is dropped. This stands in for
    human votes on data that has labels instead.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    indices : (n,) int64
        Frames to draw from.
    count : int
        Triplets wanted; fewer where draws are dropped.
    seed : list of int
        Of the draw.

    Returns
    -------
    Triplets
        With DRAWN_MARGIN.

    Raises
    ------
    DataError
        Where (nearly) all draws are dropped.
    """
    if len(indices) < 3:
        raise DataError(f"{len(indices)} labelled frames; triplets need three or more")
    random = np.random.default_rng(seed)
    drawn = random.choice(indices, (8 * count, 3))
    label = np.maximum(frames.labels[drawn], 0).astype(np.int64)
    apart = np.stack([np.abs(label[:, i] - label[:, (i + 1) % 3]).sum(1) for i in range(3)], 1)
    # apart[:, i] is between faces i and i + 1; the face that is left is the odd one
    nearest = np.sort(apart, 1)
    others = [drawn[:, i] != drawn[:, (i + 1) % 3] for i in range(3)]
    clear = np.flatnonzero((nearest[:, 0] < nearest[:, 1]) & np.all(others, 0))[:count]
    if len(clear) < max(count // 4, 1):
        raise DataError("the frames' labels hardly differ; no triplets can be drawn from them")
    first = apart[clear].argmin(1)
    order = (first[:, None] + np.arange(3)) % 3
    index = np.take_along_axis(drawn[clear], order, 1)
    return Triplets(index, np.full(len(clear), DRAWN_MARGIN, np.float32))


def _from_table(work: Path, frames: AUFrames, split: str) -> Triplets:
    found = shard_triplets(work, split)
    if not len(found.table):
        raise DataError(f"{work}: no triplet of the split {split!r} has three valid faces")
    frame_at = {
        (frames.names[shard], int(row)): index
        for index, (shard, row) in enumerate(zip(frames.shard_index, frames.row, strict=True))
    }
    names = [path.relative_to(work / "shards").as_posix() for path in found.shards]
    index = np.array(
        [
            [frame_at[names[shard], int(row)] for shard, row in zip(*pair, strict=True)]
            for pair in zip(found.shard_index, found.row, strict=True)
        ]
    )
    odd = found.table.odd.astype(np.int64)[:, None]
    order = (odd + np.array([1, 2, 0])) % 3
    margins = np.array([MARGINS[kind] for kind in found.table.kinds], np.float32)
    return Triplets(np.take_along_axis(index, order, 1), margins[found.table.kind])


@dataclass(frozen=True, eq=False)
class TripletBatch:
    """b triplets over m faces.

    Attributes
    ----------
    faces : Batch
        The m faces.
    face_index : (b, 3) int64
        Anchor, positive and negative among the faces.
    margin : (b,) float32
        Of Eq. 4.
    """

    faces: Batch
    face_index: npt.NDArray[np.int64]
    margin: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TripletBatches:
    """What is in a step's batch follows from the seed and the step.

    Attributes
    ----------
    frames : AUFrames
        All frames.
    triplets : Triplets
        Of a table, shuffled each epoch; each face of a triplet gets its own random crop and mirror.
    pool : (n,) int64 or None
        Frames, instead of a table: each step draws 3 `batch` of them, and the option's number of
        shared triplets among these.
    size : int
        Of the crops, pixels.
    schedule : Schedule
        Steps and options of the training.
    world : World
        The processes that share a batch.
    """

    frames: AUFrames
    triplets: Triplets
    pool: npt.NDArray[np.int64] | None
    size: int
    schedule: Schedule
    world: World

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of those whose faces are used, sorted."""
        used = self.triplets.index[:, 0] if self.pool is None else self.pool
        return tuple(sorted({str(name) for name in self.frames.subject[used]}))

    def of_step(self, step: int) -> TripletBatch:
        """Make this process's share of the triplets of `step`."""
        whole = self._of_table(step) if self.pool is None else self._drawn(step, self.pool)
        each = len(whole) // self.world.size
        mine = slice(self.world.rank, each * self.world.size, self.world.size)
        index, margin = whole.index[mine], whole.margin[mine]
        if self.pool is None:
            used = index.T.reshape(-1)
            face_index = np.arange(len(used)).reshape(3, -1).T
        else:
            used, found = np.unique(index, return_inverse=True)
            face_index = found.reshape(-1, 3)
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
        return TripletBatch(faces, face_index, margin)

    def frame_names(self, batch: TripletBatch, chosen: npt.NDArray[np.bool_]) -> list[str]:
        """Name the frames of some of a batch's triplets, for messages.

        Parameters
        ----------
        batch : TripletBatch
            b triplets.
        chosen : (b,) bool
            Which of them.

        Returns
        -------
        list of str
            Names as `AUFrames.frame_name` gives them.
        """
        indices = batch.faces.index[np.unique(batch.face_index[chosen])]
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
