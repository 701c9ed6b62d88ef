"""`--json` of the commands that report: one document on stdout, the right figures in it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from glee.cli import run
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards.content import FrameArrays, ShardHeader
from glee.pipeline.shards.shard import shard_path, write_shard


def said(capsys, *words):
    assert run([str(word) for word in words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def work(tmp_path):
    """A work folder of one shard with three frames, one of them not valid."""
    header = ShardHeader(
        *("disfa", "SN001", "talk", 0, 3, "talk.avi", 1, "0", 20.0, (64, 48), "mesh 1", {}, "0"),
        au_names=("AU12",),
        label_kind="intensity",
    )
    frames = FrameArrays(
        frame_id=np.arange(1, 4),
        valid=np.array([True, False, True]),
        reason=np.array([0, 1, 0], np.uint8),
        confidence=np.ones(3, np.float32),
        landmarks=np.zeros((3, 68, 2), np.float32),
        transform=np.zeros((3, 2, 3)),
    )
    crops = [encode_crop(np.zeros((200, 200, 3), np.uint8))] * 3
    path = shard_path(tmp_path / "work", "SN001", "talk", 0)
    write_shard(path, header, frames, crops, np.array([[0], [-1], [3]], np.int8))
    return tmp_path / "work"


def test_status(work, capsys):
    found = said(capsys, "status", work, "--json")
    assert (found["shards"], found["fitted"], found["expected"]) == (1, 0, None)
    assert found["at_work"] is False


def test_inspect(work, capsys):
    shard = next(work.rglob("*.h5"))
    found = said(capsys, "inspect", shard, "--json")
    assert (found["subject"], found["frames"], found["fit"]) == ("SN001", 3, None)
    assert found["reasons"] == {"ok": 2, "no_face": 1}
    assert found["labels"] == {"AU12": {"-1": 1, "0": 1, "3": 1}}


def test_model_info(capsys):
    found = said(capsys, "model", "info", "--json")
    assert (found["identity_modes"], len(found["expressions"])) == (60, 51)
    assert {"dlib", "mesh"} <= set(found["calibrated_to"])


def test_cluster_preview(capsys):
    pytest.importorskip("dask_jobqueue")
    found = said(capsys, "cluster", "preview", "--cluster", "slurm", "--json")
    assert found["cluster"] == "slurm"
    assert "#SBATCH" in found["script"]
    assert found["options"]["cores"] == 4


def test_config(capsys):
    found = said(capsys, "config", "show", "status", "--json")
    assert found == [{"command": "status", "option": "json", "value": False, "origin": "default"}]


def test_a_folder_given_as_shard_is_told_which(work, capsys):
    assert run(["inspect", str(work)]) == 2
    shard = next(work.rglob("*.h5"))
    assert f"is a folder; give one of its shards, such as {shard}" in capsys.readouterr().err
