"""The branches: Eq. 1, the frozen identity model, the 16 parts, standardised coefficients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.coefficient_branch import CoefficientBranch
from glee.model.network.config import preset_config
from glee.model.network.global_branch import GlobalBranch
from glee.model.network.local_branch import PARTS, LocalBranch, crop_box, mirrored_part
from glee.model.training.losses import au_loss

AUS = ("AU1", "AU2", "AU4")


class Brightness(nn.Module):
    """A backbone whose output can be computed by hand: weight x mean of each channel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return self.weight * image.mean((2, 3))


def test_equation_1_by_hand():
    branch = GlobalBranch(Brightness(), backbone_width=3, size=4, width=16)
    with torch.no_grad():
        branch.face_model.weight.fill_(5.0)
    image = torch.tensor([1.0, -2.0, 0.5])[None, :, None, None].expand(1, 3, 4, 4)
    # V_face = 5 x (1, -2, 0.5), V_id = 2 x (1, -2, 0.5)
    assert torch.allclose(branch.deviation(image), torch.tensor([[3.0, -6.0, 1.5]]))
    assert torch.allclose(branch(image), branch.reduction(torch.tensor([[3.0, -6.0, 1.5]])))


# (left, top, right, bottom) in an image of side 176, from the paper's description
BOXES = {
    "L34": (0, 0, 132, 176),
    "R34": (44, 0, 176, 176),
    "T34": (0, 0, 176, 132),
    "B34": (0, 44, 176, 176),
    "L12": (0, 0, 88, 176),
    "R12": (88, 0, 176, 176),
    "T12": (0, 0, 176, 88),
    "B12": (0, 88, 176, 176),
    "TL34": (0, 0, 132, 132),
    "TR34": (44, 0, 176, 132),
    "TL12": (0, 0, 88, 88),
    "TR12": (88, 0, 176, 88),
    "BL34": (0, 44, 132, 176),
    "BR34": (44, 44, 176, 176),
    "BL12": (0, 88, 88, 176),
    "BR12": (88, 88, 176, 176),
}


def test_crop_boxes():
    assert {part: crop_box(part, 176) for part in PARTS} == BOXES


def test_parts_of_the_mirrored_image_are_the_mirrored_parts():
    branch = LocalBranch(
        size=96, channels=(4, 4, 4, 4), strides=(2, 2, 2, 1), attention=4, hidden=8, width=16
    )
    image = torch.randn(2, 3, 176, 176)
    parts, mirrored = branch.parts(image), branch.parts(image.flip(3))
    for part in PARTS:
        expected = parts[mirrored_part(part)].flip(3)
        assert torch.allclose(mirrored[part], expected, atol=1e-4), part


def test_extractors_are_separate():
    network = build_glee_net(preset_config("compact", AUS))
    extractors = network.local_branch.extractors
    weights = {id(parameter) for part in PARTS for parameter in extractors[part].parameters()}
    assert len(weights) == 16 * len(list(extractors["L34"].parameters()))


def test_gradients_reach_everything_but_the_identity_model():
    network = build_glee_net(preset_config("compact", AUS)).train()
    image, f_exp = torch.randn(4, 3, 88, 88), torch.rand(4, 51)
    # a zero gain, the start of self-attention, hides its query and key
    for part in PARTS:
        nn.init.ones_(network.local_branch.extractors[part].attention.gain)
    prediction = network(image, f_exp)
    au_loss(prediction, torch.randint(0, 2, (4, 3)), torch.ones(3)).mean().backward()
    for name, parameter in network.named_parameters():
        if "identity_model" in name:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
    reached = [p.grad.abs().sum() > 0 for p in network.parameters() if p.grad is not None]
    # dead ReLUs and key biases (softmax does not see them) may keep a few at zero
    assert sum(reached) > 0.9 * len(reached)


def test_identity_model_never_changes():
    network = build_glee_net(preset_config("compact", AUS)).train()
    identity = network.global_branch.identity_model
    before = {name: value.clone() for name, value in identity.state_dict().items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        prediction = network(torch.randn(4, 3, 88, 88) + 3, torch.rand(4, 51))
        prediction.final.sum().backward()
        optimiser.step()
    for name, value in identity.state_dict().items():
        assert torch.equal(value, before[name]), name
    face = network.global_branch.face_model.state_dict()
    assert not torch.equal(face["bn1.running_mean"], before["bn1.running_mean"])
    assert not torch.equal(face["conv1.weight"], before["conv1.weight"])


def test_fixed_branches_never_change():
    network = build_glee_net(preset_config("compact", AUS, "fixed-gb-lb")).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prediction = network(torch.randn(4, 3, 88, 88), torch.rand(4, 51))
    prediction.final.sum().backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1).step()
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith("classifier.") for name in changed)


def test_coefficients_are_standardised_by_the_training_frames():
    branch = CoefficientBranch(2)
    branch.set_statistics(np.array([[0.0, 0.3], [1.0, 0.3], [np.nan, 0.0]], np.float32))
    out = branch(torch.tensor([[1.0, 0.3], [float("nan"), 0.32]]))
    # mean (0.5, 0.3); deviation 0.5, and the floor 0.02 for the coefficient that does not move
    assert out.numpy() == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-5)


def test_embedding_is_the_sum_of_both_branches():
    network = build_glee_net(preset_config("compact", AUS)).eval()
    image = torch.randn(2, 3, 88, 88)
    embedding = network.embed(image)
    assert embedding.shape == (2, 16)
    assert torch.allclose(embedding, network.global_branch(image) + network.local_branch(image))
    joint = network.represent(image, torch.rand(2, 51))
    assert joint.shape == (2, 67)
    assert torch.equal(joint[:, :16], embedding)
