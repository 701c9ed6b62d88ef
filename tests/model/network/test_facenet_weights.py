"""FaceNet weights: loaded strictly into both models, others refused."""

from __future__ import annotations

import pytest
import torch

from glee.errors import WeightsError
from glee.model.network.backbones import InceptionResnetV1
from glee.model.network.build_glee_net import build_glee_net, load_facenet
from glee.model.network.config import preset_config
from glee.model.network.global_branch import GlobalBranch

# First, last and some middle names of the public checkpoint, as its users know them.
PUBLISHED_KEYS = (
    "conv2d_1a.conv.weight",
    "conv2d_1a.bn.running_var",
    "repeat_1.0.branch0.conv.weight",
    "repeat_1.4.branch2.2.bn.bias",
    "repeat_1.0.conv2d.bias",
    "mixed_6a.branch1.2.conv.weight",
    "repeat_2.9.branch1.1.conv.weight",
    "mixed_7a.branch2.2.bn.weight",
    "repeat_3.4.branch1.2.conv.weight",
    "block8.branch0.conv.weight",
    "block8.conv2d.weight",
    "last_linear.weight",
    "last_bn.running_mean",
    "logits.weight",
    "logits.bias",
)


@pytest.fixture(scope="module")
def published():
    """A made-up state dict with the public checkpoint's names and shapes."""
    torch.manual_seed(3)
    state = InceptionResnetV1(class_count=8631).state_dict()
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def branch():
    return GlobalBranch(InceptionResnetV1(), backbone_width=512, size=160, width=16)


def test_names_are_the_public_checkpoints(published):
    assert set(PUBLISHED_KEYS) <= set(published)
    assert published["logits.weight"].shape == (8631, 512)
    assert published["last_linear.weight"].shape == (512, 1792)
    assert "last_linear.bias" not in published


def test_both_models_take_the_weights(published, branch, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(published, path)
    load_facenet(branch, path)
    for model in (branch.face_model, branch.identity_model):
        for key in ("conv2d_1a.conv.weight", "last_bn.running_mean", "last_linear.weight"):
            assert torch.equal(model.state_dict()[key], published[key])
    assert all(parameter.requires_grad for parameter in branch.face_model.parameters())
    assert not any(parameter.requires_grad for parameter in branch.identity_model.parameters())


@pytest.mark.parametrize("trouble", ["missing key", "other key", "other shape", "prefixed"])
def test_weights_that_do_not_fit_are_refused(published, branch, tmp_path, trouble):
    state = {key: value for key, value in published.items() if not key.startswith("logits")}
    if trouble == "missing key":
        del state["last_linear.weight"]
    elif trouble == "other key":
        state["conv1.weight"] = torch.zeros(1)
    elif trouble == "other shape":
        state["last_linear.weight"] = torch.zeros(128, 1792)
    else:
        state = {f"module.{key}": value for key, value in state.items()}
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"weights\.pt"):
        load_facenet(branch, path)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all"])
def test_files_that_are_no_weights_are_refused(branch, tmp_path, content):
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.pt"):
        load_facenet(branch, path)


def test_pickled_code_is_not_run(branch, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"weights": pytest.raises}, path)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_facenet(branch, path)


def test_compact_preset_cannot_take_them(published, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    with pytest.raises(WeightsError, match="paper preset"):
        build_glee_net(preset_config("compact", ("AU1",)), facenet=path)
