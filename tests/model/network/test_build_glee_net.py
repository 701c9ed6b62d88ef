"""The presets' size, and each ablation's composition."""

from __future__ import annotations

import pytest
import torch

from glee.errors import OptionsError
from glee.model.network.backbones import InceptionResnetV1
from glee.model.network.build_glee_net import build_glee_net, flop_count, parameter_count
from glee.model.network.config import ABLATIONS, preset_config

BP4D = tuple(f"AU{number}" for number in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24))


def on_meta(config):
    with torch.device("meta"):
        return build_glee_net(config)


def test_paper_preset_has_the_published_size():
    config = preset_config("paper", BP4D)
    network = on_meta(config)
    assert parameter_count(network) == pytest.approx(56.6e6, rel=0.01)
    assert flop_count(network, config) == pytest.approx(8.72e9, rel=0.05)


def test_backbone_has_facenets_size():
    with torch.device("meta"):
        backbone = InceptionResnetV1()
    assert parameter_count(backbone) == pytest.approx(23.48e6, rel=0.0005)


def test_flops_are_two_per_multiply_add_of_the_backbone():
    config = preset_config("paper", BP4D, "no-lb")
    # Two backbones at 160x160; the rest of this ablation is below 1 % of them.
    assert flop_count(on_meta(config), config) == pytest.approx(2 * 2.835e9, rel=0.01)


@pytest.mark.parametrize("ablation", ABLATIONS)
@pytest.mark.parametrize("preset", ["paper", "compact"])
def test_every_ablation_predicts_every_au(preset, ablation):
    config = preset_config(preset, BP4D, ablation)
    network = on_meta(config).eval()
    image = torch.zeros(2, 3, config.image_size, config.image_size, device="meta")
    initial, final = network(image, torch.zeros(2, 51, device="meta"))
    assert initial.shape == final.shape == (2, 12)
    parts = {name for name, part in network.named_children() if part is not None}
    assert ("local_branch" in parts) == (
        ablation not in ("no-lb", "no-gb-lb", "resnet", "resnet-alone")
    )
    assert ("global_branch" in parts) == (ablation != "no-gb-lb")
    assert ("coefficient_branch" in parts) == (ablation not in ("no-3dgb", "resnet-alone"))


def test_without_joint_layer_the_initial_prediction_is_final():
    config = preset_config("compact", BP4D, "no-joint-fc")
    network = build_glee_net(config).eval()
    initial, final = network(torch.randn(2, 3, 88, 88), torch.rand(2, 51))
    assert torch.equal(initial, final)


@pytest.mark.parametrize(
    ("preset", "ablation", "changes"),
    [
        ("huge", "full", {}),
        ("paper", "no-face", {}),
        ("paper", "full", {"backbone": "vgg"}),
        ("paper", "no-gb-lb", {"coefficients": False}),
    ],
)
def test_unknown_choices_are_refused(preset, ablation, changes):
    with pytest.raises(OptionsError):
        preset_config(preset, BP4D, ablation, **changes)
