from dataclasses import replace

import numpy as np
import pytest
import torch

from glee.errors import OptionsError
from glee.model.checkpoint import load_checkpoint
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.network.identity_adversary import (
    IdentityAdversary,
    identity_loss,
    reverse_gradient,
)
from glee.model.options import train_options
from glee.model.training.training import train


def test_the_gradient_comes_back_times_minus_strength():
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (y * torch.tensor([4.0, 8.0, -2.0])).sum().backward()
    assert x.grad.tolist() == [-1.0, -2.0, 0.5]


def test_the_adversary_learns_forwards_and_the_embedding_backwards():
    """A step down the gradients: the adversary's own makes its loss smaller, the embedding's
    larger."""
    torch.manual_seed(0)
    adversary = IdentityAdversary(4, 8, 3, 1.0).double()
    embedding = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    subject = torch.tensor([0, 1, 2, 0, 1, 2])
    before = identity_loss(adversary(embedding), subject).mean()
    before.backward()
    with torch.no_grad():
        moved = identity_loss(adversary(embedding - 0.1 * embedding.grad), subject).mean()
        for weight in adversary.parameters():
            weight -= 0.1 * weight.grad
        learnt = identity_loss(adversary(embedding), subject).mean()
    assert float(moved) > float(before) > float(learnt)


def test_identity_loss_is_the_cross_entropy_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    expected = -np.log([0.25, 0.8])
    np.testing.assert_allclose(identity_loss(logits, torch.tensor([1, 2])), expected, rtol=1e-6)


def test_the_adversary_speaks_only_in_training(tiny):
    config = replace(preset_config("compact", ("AU1", "AU2")), identities=5, identity_reversal=0.1)
    network = build_glee_net(config)
    image, f_exp = torch.zeros(2, 3, 44, 44), torch.zeros(2, 51)
    assert network.train()(image, f_exp).subject.shape == (2, 5)
    initial, final = network.eval()(image, f_exp)
    assert initial.shape == final.shape == (2, 2)


def test_without_an_embedding_there_is_nothing_to_unlearn():
    with pytest.raises(OptionsError, match="needs an expression embedding"):
        preset_config("compact", ("AU1",), "no-gb-lb", identities=3)


def test_training_with_an_adversary_changes_the_branches(work, tiny, tmp_path):
    common = {"epochs": 1, "batch": 16, "ema": 0.0, "seed": 1}
    for name, strength in (("plain", 0.0), ("adversary", 0.5)):
        options = train_options("compact", identity_adversary=strength, **common)
        train(work, tmp_path / name, options, fold="1", device="cpu")
    plain, other = (
        load_checkpoint(tmp_path / name / "fold1/checkpoint.pt") for name in ("plain", "adversary")
    )
    assert other.config.identities == 4
    key = "global_branch.reduction.weight"
    assert not torch.equal(plain.weights[key], other.weights[key])
