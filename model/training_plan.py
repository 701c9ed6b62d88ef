"""What a training would do: folds with their subjects and frames, the state of the run's folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..errors import UsageError
from ..pipeline.shards.shard import list_shards, read_shard
from .checkpoint import CHECKPOINT_FILE
from .data.folds import choose_split
from .options import TrainOptions
from .training.training import EVERY_SUBJECT


def training_plan(work: Path, out: Path, options: TrainOptions, fold: str = "all") -> list[str]:
    """A line a fold that `train` would train; nothing is written and no crop is read.

    work, out, options, fold: as `training.train` takes them. Frames are the valid ones.

    Raises ShardError, DataError for shards or a split that cannot be used, UsageError for an
    unknown fold.
    """
    frames: Counter[str] = Counter()
    dataset = ""
    for path in list_shards(Path(work)):
        shard = read_shard(path, verify=False)
        dataset = dataset or shard.header.dataset
        frames[shard.header.subject] += int(shard.frames.valid.sum())
    split = choose_split(
        frames,
        dataset,
        seed=options.seed,
        count=options.folds,
        file=Path(options.split) if options.split else None,
    )
    if fold not in ("all", EVERY_SUBJECT, *split):
        raise UsageError(f"unknown fold {fold!r}; choose one of {', '.join(split)} or all")
    lines = [
        f"{dataset}: {len(frames)} subjects, {frames.total()} valid frames; preset "
        f"{options.preset}, {options.epochs} epochs, batches of {options.batch} -> {out}"
    ]
    for name in split if fold == "all" else [fold]:
        tested = split.get(name, ())
        held = sum(frames[subject] for subject in tested)
        there = (Path(out) / f"fold{name}" / CHECKPOINT_FILE).exists()
        lines.append(
            f"fold {name}: train {len(frames) - len(tested)} subjects, {frames.total() - held} "
            f"frames; test {len(tested)} subjects, {held} frames"
            + ("; goes on from its checkpoint" if there else "")
        )
    return lines
