import numpy as np
import torch

from glee.model.temporal_head import TemporalHead, clip_neighbours, fit_temporal_head
from glee.model.training.losses import weighted_cross_entropy


def test_neighbours_stay_in_the_clip_and_skip_no_gap():
    clip = np.array(["a", "a", "a", "b", "b"])
    position = np.array([0, 1, 3, 0, 1])  # frame 2 of clip a is not valid
    expected = [[0, 0, 1], [0, 1, 1], [2, 2, 2], [3, 3, 4], [3, 4, 4]]
    assert clip_neighbours(clip, position, 1).tolist() == expected


def test_the_head_by_hand():
    logits = torch.tensor([[1.0], [2.0], [4.0]])
    head = TemporalHead(
        torch.tensor([[0.25], [0.5], [0.25]]).double(), torch.tensor([0.5]).double()
    )
    neighbours = clip_neighbours(np.array(["a"] * 3), np.arange(3), 1)
    assert head(logits, neighbours)[:, 0].tolist() == [1.75, 2.75, 4.0]


def noisy_course(frames, seed):
    """A slow AU seen through noise: labels (n, 1), logits (n, 1), neighbours."""
    random = np.random.default_rng(seed)
    present = np.sin(np.arange(frames) / 6 + random.random() * 6) > 0.3
    logits = torch.from_numpy(2.0 * (2 * present - 1) + random.normal(0, 3, frames))[:, None]
    labels = torch.from_numpy(present.astype(np.int8))[:, None]
    return logits, labels, clip_neighbours(np.array(["a"] * frames), np.arange(frames), 2)


def test_smooths_noise_of_a_clip_that_it_was_not_fitted_to():
    ratio = torch.tensor([0.4]).double()
    logits, labels, neighbours = noisy_course(600, 0)
    head = fit_temporal_head(logits, labels, ratio, neighbours)
    others, truth, around = noisy_course(600, 1)
    before = weighted_cross_entropy(others, truth, ratio).mean()
    after = weighted_cross_entropy(head(others, around), truth, ratio).mean()
    assert float(after) < 0.6 * float(before)
    assert float((head.kernel > 0.05).sum()) == 5  # it looks at all five frames


def test_a_strong_ridge_leaves_the_logits():
    logits, labels, neighbours = noisy_course(200, 2)
    head = fit_temporal_head(logits, labels, torch.tensor([0.4]).double(), neighbours, ridge=1e9)
    torch.testing.assert_close(head(logits, neighbours), logits, atol=1e-6, rtol=0)


def test_the_fit_is_the_minimum():
    logits, labels, neighbours = noisy_course(150, 3)
    ratio = torch.tensor([0.4]).double()

    def energy(kernel, bias):
        moved = TemporalHead(kernel, bias)(logits, neighbours)
        own = torch.zeros_like(kernel)
        own[2] = 1
        distance = (kernel - own).square().sum() + bias.square().sum()
        return float(weighted_cross_entropy(moved, labels, ratio).mean() + 0.01 * distance)

    head = fit_temporal_head(logits, labels, ratio, neighbours)
    least = energy(head.kernel, head.bias)
    for tap in range(5):
        for step in (-0.02, 0.02):
            kernel = head.kernel.clone()
            kernel[tap] += step
            assert energy(kernel, head.bias) > least
