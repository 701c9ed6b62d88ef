"""The expression embedding that comes with glee: what takes it, what refuses it, what it sees."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from glee.errors import OptionsError, WeightsError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.renderer import random_appearance, render
from glee.fitting.solver.problem import landmark_places
from glee.model.expression_embedding import (
    EMBEDDING_PATH,
    load_embedding,
    write_embedding,
)
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.options import EMBEDDED, RANDOM, pretrain_options, train_options
from glee.model.training import training
from glee.model.training.embed import embed
from glee.model.training.state import new_network
from glee.pipeline.images.crops import align, alignment_transform
from glee.pipeline.shards.shard import list_shards, read_shard

BRANCHES = ("global_branch.", "local_branch.")


def network_for(ablation="full", preset="compact", seed=0):
    torch.manual_seed(seed)
    return build_glee_net(preset_config(preset, ("AU1", "AU2"), ablation))


def weights_of(network):
    return {k: v for k, v in network.state_dict().items() if k.startswith(BRANCHES)}


def changed(path, out, **arrays):
    """The file with some of its arrays replaced, or left out where they are None."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files} | arrays
    np.savez(out, **{name: value for name, value in content.items() if value is not None})
    return out


def test_the_file_is_small():
    assert EMBEDDING_PATH.stat().st_size <= 6_000_000


def test_the_preset_compact_starts_from_it_unless_told_otherwise():
    assert train_options("compact").init == EMBEDDED
    assert train_options("compact", init=RANDOM).init == ""
    assert train_options("compact", init="runs/fec").init == "runs/fec"
    assert train_options("compact", facenet="facenet.pt").init == ""
    assert train_options("paper").init == ""
    assert pretrain_options("compact").init == ""
    for ablation in ("no-gb-lb", "resnet", "resnet-alone"):
        assert train_options("compact", ablation=ablation).init == ""
    for ablation in ("no-lb", "no-3dgb", "fixed-gb-lb", "no-tc", "no-joint-fc", "no-attention"):
        assert train_options("compact", ablation=ablation).init == EMBEDDED
    with pytest.raises(OptionsError, match="give one of them"):
        train_options("compact", facenet="facenet.pt", init=EMBEDDED)


@pytest.mark.parametrize("ablation", ["full", "no-3dgb", "no-lb", "fixed-gb-lb"])
def test_every_weight_of_the_branches_is_taken(ablation):
    one, other = network_for(ablation, seed=1), network_for(ablation, seed=2)
    for network in (one, other):
        load_embedding(network)
    first, second = weights_of(one), weights_of(other)
    assert first
    assert all(torch.equal(first[name], second[name]) for name in first)
    head = "classifier."
    assert any(
        not torch.equal(value, other.state_dict()[name])
        for name, value in one.state_dict().items()
        if name.startswith(head)
    )


def test_what_is_written_is_read_again(tmp_path):
    network, back = network_for(seed=1), network_for(seed=2)
    write_embedding(tmp_path / "e.npz", network, "a test")
    load_embedding(back, tmp_path / "e.npz")
    given, found = weights_of(network), weights_of(back)
    for name, value in given.items():
        assert torch.allclose(found[name].float(), value.float(), rtol=1e-3, atol=1e-6), name
    with pytest.raises(WeightsError, match="global and local branch"):
        write_embedding(tmp_path / "f.npz", network_for("no-lb"), "a test")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"version": np.int64(2)}, "version 2, this glee reads 1"),
        ({"version": np.int64(0)}, "version 0, this glee reads 1"),
        ({"version": None}, "this glee reads 1"),
        ({"format": np.array("other")}, "is no expression embedding"),
        ({"sizes": None}, "is no expression embedding"),
        ({"global_branch.reduction.bias": None}, "global_branch.reduction.bias does not fit"),
        ({"local_branch.more": np.zeros(3)}, "local_branch.more does not fit"),
        ({"global_branch.reduction.bias": np.zeros(3)}, "reduction.bias does not fit"),
    ],
)
def test_a_file_of_another_version_is_one_line(tmp_path, arrays, said):
    path = changed(EMBEDDING_PATH, tmp_path / "other.npz", **arrays)
    with pytest.raises(WeightsError, match=said) as error:
        load_embedding(network_for(), path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert "--init random" in str(error.value)


@pytest.mark.parametrize("kept", [0, 10, 5000])
def test_a_cut_file_is_one_line(tmp_path, kept):
    path = tmp_path / "cut.npz"
    path.write_bytes(EMBEDDING_PATH.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="cannot be read") as error:
        load_embedding(network_for(), path)
    assert "\n" not in str(error.value)
    with pytest.raises(WeightsError, match="is missing"):
        load_embedding(network_for(), tmp_path / "none.npz")


def test_networks_of_other_sizes_refuse_it():
    other = build_glee_net(replace(preset_config("compact", ("AU1",)), global_size=44))
    with pytest.raises(WeightsError, match="at 88 pixels, this network works at 44"):
        load_embedding(other)
    with pytest.raises(WeightsError, match="has no branch"):
        load_embedding(network_for("no-gb-lb"))


def test_a_network_to_train_has_its_weights():
    config = preset_config("compact", ("AU1", "AU2"))
    started = new_network(config, train_options("compact", init=EMBEDDED))
    alone = network_for(seed=3)
    load_embedding(alone)
    found, wanted = weights_of(started), weights_of(alone)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_train_says_what_it_starts_from(work, tmp_path, caplog):
    from_it = train_options("compact", epochs=1, batch=16, init=EMBEDDED)
    with caplog.at_level(logging.INFO, "glee"):
        training.train(work, tmp_path / "run", from_it, fold="1", device="cpu")
    assert any("starts from the expression embedding that comes" in m for m in caplog.messages)
    random = train_options("compact", epochs=1, batch=16, init=RANDOM)
    assert "starts from random weights" in training.training_plan(work, tmp_path, random)[0]
    other = train_options("compact", epochs=1, batch=16, init="runs/x")
    assert "starts from the pre-trained run runs/x" in training.training_plan(work, work, other)[0]
    with pytest.raises(OptionsError, match="init = 'embedded', now ''"):
        training.train(work, tmp_path / "run", random, fold="1", device="cpu")


def test_identity_features_are_those_of_its_identity_model(work, tmp_path):
    own = tmp_path / "work"
    shutil.copytree(work, own)
    embed(own, preset="compact", init=EMBEDDED, device="cpu")
    shard = read_shard(list_shards(own)[0])
    assert shard.embed is not None
    options = train_options("compact", epochs=1, batch=16, identity="cached", init=EMBEDDED)
    training.train(own, tmp_path / "run", options, fold="1", device="cpu")


def test_smiles_of_strangers_are_nearer_than_their_faces_at_rest():
    """Rendered people with other seeds than those of its training."""
    model, names = load_model(), load_model().expression_names
    camera = Camera.for_image(240, 240)
    pose = np.array([0.0, 0.0, 0.0, 0.0, 0.15, -camera.focal * 1.9 / 140])
    shapes = {"rest": {}, "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}}
    shapes["open"] = {"jawOpen": 0.8, "eyeWideLeft": 0.8, "eyeWideRight": 0.8}
    faces = []
    for seed in range(4):
        rng = np.random.default_rng([90_001, seed])
        look = random_appearance(rng)
        f_shape = np.clip(rng.standard_normal(len(model.identity)), -2, 2)
        for moved in shapes.values():
            f_exp = np.zeros(len(names))
            for name, value in moved.items():
                f_exp[names.index(name)] = value
            mesh = model.shape(f_shape, f_exp)
            picture = render(model, mesh, pose, camera, look, rng)
            points = camera.project(landmark_places(model, mesh, pose, "anatomical"), pose)
            faces.append(align(picture, alignment_transform(points, 100), 100)[6:94, 6:94])
    network = network_for()
    load_embedding(network)
    image = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        found = network.eval().embed((image - 127.5) / 128)
    found = torch.nn.functional.normalize(found, dim=1).reshape(4, 3, -1)
    right = [
        bool((found[i, k] - found[j, k]).norm() < (found[i, k] - found[j, m]).norm())
        for i in range(4)
        for j in range(4)
        for k in range(3)
        for m in range(3)
        if i != j and k != m
    ]
    assert np.mean(right) > 0.9
