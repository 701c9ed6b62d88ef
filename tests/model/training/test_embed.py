"""V_id kept in shards: what it is, that it survives a fit, who may use it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from glee.errors import DataError, OptionsError, UsageError, WeightsError
from glee.model.checkpoint import load_checkpoint
from glee.model.data.au_dataset import load_frames, make_batch
from glee.model.data.augmentation import draw_epoch
from glee.model.options import pretrain_options, train_options
from glee.model.prediction.predictions import network_input
from glee.model.training.embed import embed
from glee.model.training.pretraining import pretrain
from glee.model.training.training import train
from glee.pipeline.shards.shard import add_fit, list_shards, read_shard
from glee.pipeline.verification import verify_shards

from ..conftest import TINY


@pytest.fixture(scope="module")
def embedded(work, tmp_path_factory):
    """A copy of the shards with the features of a pre-trained run, and that run."""
    folder = tmp_path_factory.mktemp("embedded")
    with pytest.MonkeyPatch.context() as patch:
        from glee.model.network import config

        patch.setitem(config.PRESETS, "compact", {**config.PRESETS["compact"], **TINY})
        torch.set_num_threads(1)
        options = pretrain_options("compact", epochs=1, triplets=20, batch=20)
        pretrain(work, folder / "run", options, device="cpu")
        shutil.copytree(work, folder / "work")
        embed(folder / "work", preset="compact", init=str(folder / "run"), device="cpu")
    return folder / "work", folder / "run"


def test_features_are_the_identity_models(embedded):
    work, run = embedded
    frames = load_frames(work, size=50, with_identity=True)
    branch = load_checkpoint(run / "checkpoint.pt").network().global_branch
    index = np.array([0, 40, 137])
    image, _ = network_input(make_batch(frames, index, 44), torch.device("cpu"))
    for side, seen in enumerate((image, image.flip(3))):
        expected = branch.identity(seen).numpy()
        assert frames.identity[index, side] == pytest.approx(expected, rel=2e-3, abs=2e-3)
    assert np.isnan(read_shard(list_shards(work)[0]).embed.identity[0]).all()  # not valid


def test_a_mirrored_face_gets_the_mirrored_features(embedded):
    frames = load_frames(embedded[0], size=50, with_identity=True)
    index = np.arange(20)
    draw = draw_epoch(len(frames), seed=0, epoch=0, margin=6)
    batch = make_batch(frames, index, 44, draw, index)
    assert 0 < draw.mirror[index].sum() < 20
    for item, frame in enumerate(index):
        side = int(draw.mirror[item])
        assert np.array_equal(batch.identity[item], frames.identity[frame, side])
    assert make_batch(frames, index, 44).identity.shape == (20, 0)


def test_shards_stay_whole_and_a_second_run_keeps_them(embedded, tiny, tmp_path):
    work, run = embedded
    report = verify_shards(work)
    assert not [problem.text for problem in report.problems if problem.kind == "embed"]
    before = {path: path.read_bytes() for path in list_shards(work)}
    summary = embed(work, preset="compact", init=str(run), device="cpu")
    assert (summary.shards, summary.kept, summary.frames) == (6, 6, 0)
    assert before == {path: path.read_bytes() for path in list_shards(work)}
    shutil.copytree(work, tmp_path / "work")
    path = list_shards(tmp_path / "work")[2]
    old = read_shard(path)
    add_fit(path, old.fit)
    assert np.array_equal(
        read_shard(path).embed.identity_mirrored, old.embed.identity_mirrored, equal_nan=True
    )


def test_verify_sees_features_that_are_missing_somewhere(embedded, work, tmp_path):
    shutil.copytree(embedded[0], tmp_path / "work")
    plain, mixed = list_shards(work)[1], list_shards(tmp_path / "work")[1]
    shutil.copyfile(plain, mixed)
    problems = [p for p in verify_shards(tmp_path / "work").problems if p.kind == "embed"]
    assert len(problems) == 1
    assert problems[0].wrong
    with pytest.raises(DataError, match=r"SN002.*holds no identity features; run `glee embed`"):
        load_frames(tmp_path / "work", size=50, with_identity=True)


def test_training_takes_the_features_and_learns_nearly_the_same(embedded, tiny, tmp_path):
    work, run = embedded
    losses = []
    for identity in ("live", "cached"):
        options = train_options("compact", epochs=1, batch=30, init=str(run), identity=identity)
        losses.append(train(work, tmp_path / identity, options, fold="1", device="cpu"))
    live, cached = (summary.folds[0].loss for summary in losses)
    assert live != cached  # V_id of the centre, not of the very crop
    assert cached == pytest.approx(live, rel=0.05)


def test_features_of_other_weights_are_refused(embedded, tiny, tmp_path):
    work, run = embedded
    # without `init`, the identity model is another
    options = train_options("compact", epochs=1, batch=30, identity="cached")
    with pytest.raises(OptionsError, match="other weights than this network's"):
        train(work, tmp_path / "run", options, fold="1", device="cpu")
    other = pretrain_options("compact", epochs=1, triplets=20, batch=20, seed=1)
    pretrain(work, tmp_path / "other", other, device="cpu")
    with pytest.raises(OptionsError, match="weights is"):
        embed(work, preset="compact", init=str(tmp_path / "other"), device="cpu")


def test_embedding_needs_weights(work, tmp_path):
    with pytest.raises(UsageError, match="--facenet or --init"):
        embed(work)
    with pytest.raises(WeightsError, match=r"none\.pt"):
        embed(work, facenet=str(tmp_path / "none.pt"))
