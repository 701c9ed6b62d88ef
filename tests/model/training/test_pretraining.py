"""Pre-training on triplets: where they come from, what is learnt, and fine-tuning from it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

from glee.errors import DataError, OptionsError, WeightsError
from glee.model.checkpoint import load_checkpoint, load_expression
from glee.model.data.au_dataset import load_frames
from glee.model.data.triplets import Triplets, draw_triplets, find_triplets
from glee.model.distributed import World
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.network.glee_net import GLEENet
from glee.model.options import pretrain_options, train_options
from glee.model.training import steps
from glee.model.training.losses import triplet_loss
from glee.model.training.pretraining import pretrain, standardised_over_batch, triplet_accuracy
from glee.model.training.training import train
from glee.pipeline.datasets.fec import TRIPLET_TYPES
from glee.pipeline.datasets.triplets import TRIPLET_FILE, TripletTable, encode_triplets
from glee.whole_files import write_whole

QUICK = {"epochs": 2, "triplets": 60, "batch": 20}


def test_drawn_triplets_put_the_odd_one_last(work):
    frames = load_frames(work, size=100)
    triplets = draw_triplets(frames, np.arange(len(frames)), 200, [0])
    label = frames.labels[triplets.index].astype(int)
    differ = [np.abs(label[:, i] - label[:, j]).sum(1) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert len(triplets) == 200
    assert (differ[0] < differ[1]).all()
    assert (differ[0] < differ[2]).all()
    assert (triplets.margin == np.float32(0.2)).all()


def test_some_of_the_triplets_are_drawn_and_stay_in_their_order():
    index = np.arange(300).reshape(100, 3)
    every = Triplets(index, np.arange(100, dtype=np.float32))
    some = every.some(10, seed=1)
    assert len(some) == 10
    assert (np.diff(some.index[:, 0]) > 0).all()
    np.testing.assert_array_equal(some.index[:, 0], 3 * some.margin)
    np.testing.assert_array_equal(some.index, every.some(10, seed=1).index)
    assert (some.index != every.some(10, seed=2).index).any()
    assert every.some(0, seed=1) is every.some(100, seed=1) is every


def test_held_out_triplets_are_of_other_subjects(work):
    frames = load_frames(work, size=100)
    train_set, test_set = find_triplets(work, frames, count=80, seed=1)
    subjects = [set(frames.subject[part.index].ravel()) for part in (train_set, test_set)]
    assert not subjects[0] & subjects[1]
    assert (len(train_set), len(test_set)) == (80, 20)


def test_table_of_triplets_gives_anchor_positive_negative_and_margin(tmp_path, write_shard):
    """FEC's form: subject "train", faces by frame_id, the odd face, its type."""
    for split in ("train", "test"):
        write_shard(tmp_path, np.zeros((5, 0)), "none", split)
    table = TripletTable(
        faces=np.array([[1, 2, 3], [3, 5, 4]]),
        odd=np.array([0, 2], np.int8),
        kind=np.array([0, 1], np.int8),
        votes=np.array([[3, 0, 0], [1, 0, 4]], np.int16),
        kinds=TRIPLET_TYPES,
    )
    write_whole(tmp_path / TRIPLET_FILE, encode_triplets({"train": table, "test": table}))
    frames = load_frames(tmp_path, size=100, with_fit=False, labelled=False)
    triplets, _ = find_triplets(tmp_path, frames, count=0, seed=0)
    assert set(frames.subject[triplets.index].ravel()) == {"train"}
    # the odd face last: 2 and 3 are alike, 1 is not; 3 and 5 are alike, 4 is not
    assert frames.frame_id[triplets.index].tolist() == [[2, 3, 1], [3, 5, 4]]
    assert triplets.margin == pytest.approx([0.1, 0.2])


def test_no_triplets(tmp_path, write_shard):
    write_shard(tmp_path, np.zeros((5, 0)), "none")
    with pytest.raises(DataError, match="triplets"):
        pretrain(tmp_path, tmp_path / "run", pretrain_options("compact"), device="cpu")
    with pytest.raises(OptionsError, match="no global branch"):
        pretrain(tmp_path, tmp_path / "run", pretrain_options("compact", ablation="resnet"))


def test_accuracy_by_hand(work):
    frames = load_frames(work, size=100)
    network = build_glee_net(preset_config("compact", ("AU1",)))
    embedding = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [1.0, 1.0]])
    network.embed = lambda image: embedding[: len(image)]
    index = np.array([[0, 1, 2], [1, 0, 3], [0, 2, 3], [0, 2, 1]])
    triplets = Triplets(index, np.zeros(4, np.float32))
    # of these, the first two have their negative farthest
    assert triplet_accuracy(network, frames, triplets, 88, torch.device("cpu")) == 0.5


def test_pretrained_run_resumes_and_initialises(work, tmp_path, tiny):
    options = pretrain_options("compact", **QUICK)
    summary = pretrain(work, tmp_path / "pre", options, device="cpu")
    rows = list(csv.DictReader((tmp_path / "pre/log.csv").open()))
    assert len(rows) == summary.steps == 6
    results = json.loads((tmp_path / "pre/results.json").read_text())
    assert results["triplet_accuracy"] == summary.accuracy
    again = pretrain(work, tmp_path / "pre", options, device="cpu")
    assert again.accuracy == summary.accuracy
    weights = load_checkpoint(tmp_path / "pre/checkpoint.pt").weights
    fresh = build_glee_net(preset_config("compact", ("AU1", "AU2")))
    load_expression(fresh, tmp_path / "pre")
    loaded = fresh.state_dict()
    assert torch.equal(loaded["local_branch.mlp.0.weight"], weights["local_branch.mlp.0.weight"])
    init = str(tmp_path / "pre")
    fixed = train_options("compact", ablation="fixed-gb-lb", init=init, epochs=1)
    train(work, tmp_path / "run", fixed, fold="1", device="cpu")
    kept = load_checkpoint(tmp_path / "run/fold1/checkpoint.pt").weights
    expression = [name for name in weights if name.startswith(("global_branch", "local_branch"))]
    assert all(torch.equal(kept[name], weights[name]) for name in expression)


def test_pretrained_run_of_another_network_is_refused(work, tmp_path, tiny):
    options = pretrain_options("compact", **{**QUICK, "epochs": 1}, ablation="no-lb")
    pretrain(work, tmp_path, options, device="cpu")
    with pytest.raises(WeightsError, match="local_branch"):
        load_expression(build_glee_net(preset_config("compact", ("AU1",))), tmp_path)


def test_one_margin_for_all_or_each_types_own(work, tmp_path, tiny):
    losses = []
    for margin in (0.0, 0.2, 0.7):
        options = pretrain_options("compact", **{**QUICK, "epochs": 1}, margin=margin, centre=False)
        losses.append(pretrain(work, tmp_path / str(margin), options, device="cpu").loss)
    assert losses[0] == losses[1]  # drawn triplets are of the type with 0.2
    assert losses[2] > losses[0] + 0.4


def test_accumulated_gradient_of_triplets_is_the_batchs(work, tmp_path, tiny, monkeypatch):
    # batch normalisation sees parts of the batch; in evaluation mode it does not look at batches
    monkeypatch.setattr(GLEENet, "train", lambda self, mode=True: nn.Module.train(self, False))
    weights = []
    for accumulate in (1, 4):
        changes = {**QUICK, "epochs": 1, "ema": 0.0, "accumulate": accumulate, "centre": False}
        pretrain(work, tmp_path / str(accumulate), pretrain_options("compact", **changes))
        weights.append(load_checkpoint(tmp_path / f"{accumulate}/checkpoint.pt").weights)
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-5), name


def test_killed_pretraining_ends_with_the_same_bits(work, tmp_path, tiny, monkeypatch):
    options = pretrain_options("compact", **QUICK, checkpoint_steps=1)
    pretrain(work, tmp_path / "whole", options, device="cpu")
    take, calls = steps.take_step, []

    def dying(*arguments):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(None)
        return take(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "take_step", dying)
        with pytest.raises(KeyboardInterrupt):
            pretrain(work, tmp_path / "killed", options, device="cpu")
    pretrain(work, tmp_path / "killed", options, device="cpu")
    one, other = (
        load_checkpoint(tmp_path / name / "checkpoint.pt").weights for name in ("whole", "killed")
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_pretrained_run_of_another_preset_is_refused(work, tmp_path, tiny):
    pretrain(work, tmp_path, pretrain_options("compact", **{**QUICK, "epochs": 1}), device="cpu")
    other = build_glee_net(preset_config("compact", ("AU1",), local_size=32))
    with pytest.raises(WeightsError, match="pre-trained at 16 pixels, this network works at 32"):
        load_expression(other, tmp_path)


def test_faces_on_one_point_are_spread_again():
    """Eq. 4 is twice the margin at one point; standardised, the faces' order shows as before."""
    spread = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    heap = 5.0 + 1e-2 * spread
    expected = (spread - spread.mean(0)) / spread.std(0, correction=0)
    found = standardised_over_batch(heap, World())
    torch.testing.assert_close(found, expected, atol=0.06, rtol=0.06)
    margin = torch.full((10,), 0.2)
    assert triplet_loss(*heap.chunk(3), margin).mean() == pytest.approx(0.4, abs=1e-3)
    assert triplet_loss(*found.chunk(3), margin).std() > 0.5
