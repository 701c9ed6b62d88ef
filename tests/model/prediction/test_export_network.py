"""The exported network: equal to the trained one, of any number of frames, with its description."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from glee.errors import DataError, UsageError
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.options import train_options
from glee.model.prediction.export_network import export_network, folded
from glee.model.training.training import train


def with_statistics(network):
    """Batch normalisation that does something, as after a training."""
    for norm in network.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
    return network.eval()


@pytest.mark.parametrize("changes", [{}, {"backbone": "inception_resnet", "global_size": 160}])
def test_folding_leaves_no_normalised_feature_maps_and_the_same_logits(changes):
    network = with_statistics(build_glee_net(preset_config("compact", ("AU1", "AU2"), **changes)))
    image, f_exp = torch.rand(2, 3, 88, 88) * 2 - 1, torch.rand(2, 51)
    with torch.inference_mode():
        expected, found = network(image, f_exp), folded(network)(image, f_exp)
    scale = expected.final.abs().max()
    assert torch.allclose(found.final, expected.final, atol=1e-4 * float(scale))
    # a normalisation of the pooled features has no layer before it to be folded into
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded(network).modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


def test_a_run_is_exported(work, tmp_path, tiny):
    options = train_options("compact", epochs=1, batch=46, aus=(1, 12))
    train(work, tmp_path / "run", options, fold="2")
    assert export_network(tmp_path / "run", tmp_path / "net.pt2") < 1e-5
    extra = {"glee.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra).module()
    probability = program(torch.zeros(7, 3, 44, 44), torch.zeros(7, 51))
    assert probability.shape == (7, 2)
    assert ((probability > 0) & (probability < 1)).all()
    said = json.loads(extra["glee.json"])
    assert said["au_names"] == ["AU1", "AU12"]
    assert said["test_subjects"] == ["SN006", "SN011"]
    assert len(said["f_exp_relative_to_person"]) == 51


def test_what_cannot_be_exported(work, tmp_path):
    options = train_options("compact", ablation="no-gb-lb", epochs=1, batch=46)
    train(work, tmp_path / "run", options)
    with pytest.raises(UsageError, match=r"\.pt2"):
        export_network(tmp_path / "run", tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="choose a fold with --fold: 1, 2, 3"):
        export_network(tmp_path / "run", tmp_path / "net.pt2")
    with pytest.raises(UsageError, match="--fold"):
        export_network(tmp_path / "run", tmp_path / "net.pt2", fold="4")
    with pytest.raises(DataError, match="no fold is trained"):
        export_network(tmp_path, tmp_path / "net.pt2")
