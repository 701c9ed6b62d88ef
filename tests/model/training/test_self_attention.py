"""Self-attention of the local branch attends from its start, and trained decisions depend on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glee.model.checkpoint import load_checkpoint
from glee.model.data.au_dataset import load_frames
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.network.local_branch import LocalFeatureExtractor, SelfAttention
from glee.model.options import train_options
from glee.model.prediction.predictions import predict_frames
from glee.model.training.training import train


def features(channels, side):
    """What comes out of a normalised convolution and a ReLU."""
    return torch.relu(torch.randn(6, channels, side, side))


@pytest.mark.parametrize(("channels", "width", "side"), [(32, 8, 4), (256, 32, 12)])
def test_positions_differ_in_weight_from_the_start(channels, width, side):
    """Perplexity of the weights over the number of positions: 1 would be plain averaging."""
    attention, x = SelfAttention(channels, width), features(channels, side)
    query, key = (layer(x).flatten(2) for layer in (attention.query, attention.key))
    weight = (query.transpose(1, 2) @ key * width**-0.5).softmax(-1)
    shares = (-(weight * weight.log()).sum(-1)).exp() / side**2
    assert 0.5 < shares.mean().item() < 0.93


def test_every_part_of_it_has_a_gradient_in_the_first_step():
    attention = SelfAttention(32, 8)
    # every position by its own weight, as no average of them would be
    (attention(features(32, 4)) * torch.randn(32, 4, 4)).sum().backward()
    for name, parameter in attention.named_parameters():
        if name != "key.bias":  # adds the same to all scores of a query; softmax does not see it
            assert float(parameter.grad.norm()) > 1e-3, name


def test_weights_of_earlier_networks_compute_what_they_did():
    """A gain that stayed near 0 adds nothing, whatever the three maps are."""
    extractor = LocalFeatureExtractor((4, 4, 4, 8), (2, 2, 2, 1), 4).eval()
    plain = LocalFeatureExtractor((4, 4, 4, 8), (2, 2, 2, 1), 0).eval()
    state = {**extractor.state_dict(), "attention.gain": torch.zeros(())}
    extractor.load_state_dict(state)
    plain.load_state_dict({k: v for k, v in state.items() if "attention" not in k})
    part = torch.randn(3, 3, 32, 32)
    assert torch.allclose(extractor(part), plain(part))


def test_switching_it_off_changes_trained_decisions(work, tiny, tmp_path):
    options = train_options("compact", ablation="no-3dgb", epochs=30, batch=16, ema=0.0)
    train(work, tmp_path, options, fold="1", device="cpu")
    checkpoint = load_checkpoint(tmp_path / "fold1/checkpoint.pt")
    frames, size = load_frames(work, size=50), checkpoint.config.image_size
    index = frames.of_subjects(checkpoint.test_subjects)

    def decisions(**changed):
        network = checkpoint.network()
        for name, parameter in network.named_parameters():
            if name.endswith(tuple(changed)):
                torch.nn.init.constant_(parameter, 0.0)
        cpu = torch.device("cpu")
        predictions = predict_frames(network, frames, index, image_size=size, device=cpu)
        return predictions.probability > 0.5

    whole = decisions()
    known = frames.labels[index] >= 0
    assert (whole == (frames.labels[index] == 1))[known].mean() > 0.8
    without = decisions(**{"attention.gain": 0})
    assert (without != whole).mean() > 0.02
    even = decisions(**{"attention.query.weight": 0, "attention.query.bias": 0})
    assert (even != whole).any()
    assert not np.array_equal(even, without)


def test_the_ablation_has_the_same_network_without_it():
    names = ("AU1", "AU2")
    whole, without = (
        build_glee_net(preset_config("compact", names, ablation)).state_dict()
        for ablation in ("full", "no-attention")
    )
    gone = set(whole) - set(without)
    assert not set(without) - set(whole)
    assert gone
    assert all(".attention." in name for name in gone)
