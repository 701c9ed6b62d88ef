"""Changed bytes in shards: `verify_shards` finds every one, and the stages make the shard again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glee.errors import ShardError
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.verification import verify_shards


@pytest.mark.parametrize("stage", ["preprocess", "fit3d"])
def test_every_changed_byte_is_found(stage, undisturbed, campaign, tally, tmp_path):
    rng = np.random.default_rng(campaign["seed"])
    path = tmp_path / "000000.h5"
    whole = list_shards(undisturbed[stage])[0].read_bytes()
    for place in rng.integers(0, len(whole), campaign["flips"]):
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.raises(ShardError):
            read_shard(path)
        tally["changed byte found"] += 1


@pytest.mark.parametrize("stage", ["preprocess", "fit3d"])
def test_verify_names_each_damaged_shard_and_the_stages_mend_them(
    stage, undisturbed, stages, run_preprocess, campaign, tally, tmp_path
):
    rng = np.random.default_rng([campaign["seed"], 1])
    work = tmp_path / "work"
    shutil.copytree(undisturbed[stage], work)
    damaged = list_shards(work)[1::2]
    for path, damage in zip(damaged, ("byte", "cut", "longer", "empty"), strict=True):
        whole = bytearray(path.read_bytes())
        if damage == "byte":
            whole[rng.integers(len(whole))] ^= 0xFF
        changed = {"cut": whole[: len(whole) // 2], "longer": whole + b"\0", "empty": b""}
        path.write_bytes(changed.get(damage, whole))
    named = [p.text for p in verify_shards(work).problems if p.kind == "shard"]
    assert len(named) == len(damaged)
    assert all(str(path) in text for path, text in zip(damaged, named, strict=True))
    run_preprocess(stages.root, work)
    if stage == "fit3d":
        stages.finish("fit3d", work, "--workers", 1)
    else:
        stages.compare("preprocess", work)
    assert not [p for p in verify_shards(work).problems if p.kind == "shard"]
    tally["damaged shard made again"] += len(damaged)
