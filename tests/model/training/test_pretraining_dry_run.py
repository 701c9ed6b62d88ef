"""`glee pretrain --dry-run` says what is then trained, and reads no crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glee.errors import DataError
from glee.model.options import pretrain_options
from glee.model.training.pretraining import pretrain, pretraining_dry_run
from glee.pipeline.datasets.fec import TRIPLET_TYPES
from glee.pipeline.datasets.triplets import TRIPLET_FILE, TripletTable, encode_triplets
from glee.whole_files import write_whole


def test_the_steps_said_are_those_taken(work, tmp_path, tiny):
    options = pretrain_options("compact", epochs=2, triplets=60, batch=20)
    said = "\n".join(pretraining_dry_run(work, tmp_path / "run", options))
    assert not (tmp_path / "run").exists()
    assert "triplets drawn from the labels of 6 subjects, 600 a step" in said
    summary = pretrain(work, tmp_path / "run", options, device="cpu")
    assert f"{summary.steps} steps" in said
    assert "goes on" in pretraining_dry_run(work, tmp_path / "run", options)[1]
    apart = pretraining_dry_run(work, tmp_path / "run", replace(options, shared_triplets=0))
    assert "labels of 6 subjects, at most 60" in apart[0]


def test_triplets_of_a_table_whose_three_faces_are_there(tmp_path, write_shard):
    for split in ("train", "test"):
        write_shard(tmp_path, np.zeros((5, 0)), "none", split)
    options = pretrain_options("compact")
    with pytest.raises(DataError, match="no table of triplets"):
        pretraining_dry_run(tmp_path, tmp_path / "run", options)
    table = TripletTable(
        faces=np.array([[1, 2, 3], [3, 5, 4], [3, 5, 99]]),
        odd=np.zeros(3, np.int8),
        kind=np.zeros(3, np.int8),
        votes=np.tile(np.array([2, 0, 0], np.int16), (3, 1)),
        kinds=TRIPLET_TYPES,
    )
    write_whole(tmp_path / TRIPLET_FILE, encode_triplets({"train": table, "test": table}))
    first, _ = pretraining_dry_run(tmp_path, tmp_path / "run", options)
    assert "10 valid faces, 2 triplets to train on, 2 held out" in first
