"""What `pretrain` would do: faces, triplets, steps; no crop is read and nothing is written."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..pipeline.datasets.triplets import TRIPLET_FILE, read_triplets
from ..pipeline.shards.shard import list_shards, read_shard
from .checkpoint import CHECKPOINT_FILE
from .options import TrainOptions


def pretraining_dry_run(work: Path, out: Path, options: TrainOptions) -> list[str]:
    """Lines that say what `pretraining.pretrain` with these arguments would do.

    Raises ShardError, DataError for a folder that cannot be used.
    """
    work = Path(work)
    valid: dict[str, set[int]] = defaultdict(set)
    frames: Counter[str] = Counter()
    labelled, dataset = False, ""
    for path in list_shards(work):
        shard = read_shard(path, verify=False)
        dataset = dataset or shard.header.dataset
        labelled = labelled or bool(shard.header.au_names)
        frames[shard.header.subject] += int(shard.frames.valid.sum())
        valid[shard.header.subject].update(shard.frames.frame_id[shard.frames.valid].tolist())
    if (work / TRIPLET_FILE).exists():
        tables = read_triplets(work / TRIPLET_FILE)
        count = {
            split: int(np.isin(table.faces, list(valid[split])).all(1).sum())
            for split, table in tables.items()
        }
        train = count.get("train", 0)
        source = f"{train} triplets to train on, {count.get('test', 0)} held out"
    elif labelled and len(frames) >= 4 and options.triplets:
        train = options.triplets
        number = (
            f"{options.shared_triplets} a step" if options.shared_triplets else f"at most {train}"
        )
        source = f"triplets drawn from the labels of {len(frames)} subjects, {number}"
    else:
        raise DataError(
            f"{work}: has no table of triplets and cannot give any from labels; it needs labels of "
            "4 subjects or more and a number of triplets"
        )
    steps = options.epochs * math.floor(train / max(1, min(options.batch, train)))
    there = (Path(out) / CHECKPOINT_FILE).exists()
    return [
        f"{dataset}: {frames.total()} valid faces, {source}",
        f"preset {options.preset}, {options.epochs} epochs, batches of {options.batch}, "
        f"{steps} steps -> {out}" + ("; goes on from its checkpoint" if there else ""),
    ]
