"""Triplets of faces for the pre-training: from FEC's table, or drawn from labelled frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..pipeline.datasets.fec import MARGINS
from ..pipeline.triplets import TRIPLET_FILE, shard_triplets
from .au_dataset import AUFrames

# Margin of triplets that no person has typed: that of most of FEC's.
DRAWN_MARGIN = MARGINS["THREE_CLASS_TRIPLET"]
# A subject in so many is held out where the data has no test split of its own.
HELD_OUT = 5


@dataclass(frozen=True, eq=False)
class Triplets:
    """n triplets over frames; anchor and positive are the two that look most alike.

    index: (n, 3) int64, frames: anchor, positive, negative. margin: (n,) float32, of Eq. 4.
    """

    index: npt.NDArray[np.int64]
    margin: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)


def find_triplets(
    work: Path, frames: AUFrames, *, count: int, seed: int
) -> tuple[Triplets, Triplets]:
    """Triplets to train on and held-out ones.

    From the table of triplets in the work folder (splits "train" and "test"); without one, drawn
    from the labels: `count` of the training subjects, a quarter as many of held-out subjects.

    Raises DataError where the table cannot be used or the labels do not allow triplets.
    """
    if (work / TRIPLET_FILE).exists():
        return _from_table(work, frames, "train"), _from_table(work, frames, "test")
    names = list(frames.subjects)
    held_out = {str(name) for name in np.random.default_rng(seed).permutation(names)[::HELD_OUT]}
    if len(names) < 4 or not frames.au_names or not count:
        raise DataError(
            f"{work}: has no table of triplets and cannot give any from labels; it needs labels of "
            "4 subjects or more and a number of triplets"
        )
    train = draw_triplets(frames, frames.of_subjects(set(names) - held_out), count, [seed, 0])
    test = draw_triplets(frames, frames.of_subjects(held_out), max(count // 4, 1), [seed, 1])
    return train, test


def draw_triplets(
    frames: AUFrames, indices: npt.NDArray[np.int64], count: int, seed: list[int]
) -> Triplets:
    """Triplets as a person might judge them: the negative has the most other Action Units.

    Three frames are drawn, and the two whose labels differ in the fewest AUs are alike; where that
    does not single out one, the draw is dropped. This stands in for human votes on data that has
    labels instead.

    Raises DataError where (nearly) all draws are dropped.
    """
    random = np.random.default_rng(seed)
    drawn = random.choice(indices, (8 * count, 3))
    label = np.maximum(frames.labels[drawn], 0).astype(np.int64)
    apart = np.stack([np.abs(label[:, i] - label[:, (i + 1) % 3]).sum(1) for i in range(3)], 1)
    # apart[:, i] is between faces i and i + 1; the face that is left is the odd one
    nearest = np.sort(apart, 1)
    clear = np.flatnonzero(nearest[:, 0] < nearest[:, 1])[:count]
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
    place = {
        (frames.names[shard], int(row)): index
        for index, (shard, row) in enumerate(zip(frames.shard_index, frames.row, strict=True))
    }
    names = [path.relative_to(work / "shards").as_posix() for path in found.shards]
    index = np.array(
        [
            [place[names[shard], int(row)] for shard, row in zip(*pair, strict=True)]
            for pair in zip(found.shard_index, found.row, strict=True)
        ]
    )
    odd = found.table.odd.astype(np.int64)[:, None]
    order = (odd + np.array([1, 2, 0])) % 3
    margins = np.array([MARGINS[kind] for kind in found.table.kinds], np.float32)
    return Triplets(np.take_along_axis(index, order, 1), margins[found.table.kind])
