"""The network: shapes, valid covariances, and first landmarks where the picture says nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glee.pipeline.landmarks.refiner.crops import SIDE, TEMPLATE
from glee.pipeline.landmarks.refiner.network import Refiner, levelled
from glee.pipeline.landmarks.refiner.weights import LEAST_DEVIATION


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Refiner().eval().requires_grad_(False)


def test_covariances_are_valid_whatever_the_head_says(network):
    torch.manual_seed(1)
    wild = Refiner().eval().requires_grad_(False)
    wild.head.normal_(0.0, 30.0)
    points, factors = wild(torch.randn(4, 3, SIDE, SIDE), torch.rand(4, 68, 2) * SIDE)
    assert points.shape == (4, 68, 2)
    assert torch.isfinite(points).all()
    covariance = (factors @ factors.transpose(-1, -2)).double()
    assert (torch.linalg.eigvalsh(covariance) > 0).all()
    assert (factors.diagonal(dim1=-2, dim2=-1) >= LEAST_DEVIATION).all()
    assert not factors[..., 0, 1].any()


def test_a_blank_picture_leaves_the_first_landmarks(network):
    """With no heat, the map is the parabola alone: a Gaussian around the first landmark."""
    steep = Refiner().eval().requires_grad_(False)
    steep.heat.weight.zero_()
    steep.heat.bias.zero_()
    steep.steepness.fill_(0.0)
    first = torch.from_numpy((SIDE * (0.15 + 0.7 * TEMPLATE)).astype(np.float32))[None]
    points, _ = steep(torch.zeros(1, 3, SIDE, SIDE), first)
    assert (points - first).abs().max() < 0.3


def test_one_face_does_not_change_another(network):
    torch.manual_seed(2)
    crops, first = torch.randn(3, 3, SIDE, SIDE), torch.rand(3, 68, 2) * SIDE
    together, _ = network(crops, first)
    for place in range(3):
        alone, _ = network(crops[place : place + 1], first[place : place + 1])
        assert (alone[0] - together[place]).abs().max() < 1e-2


def test_exposure_and_contrast_do_not_matter():
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 100, (1, SIDE, SIDE, 3)).astype(np.uint8)
    one, other = levelled(crop), levelled(2 * crop + 30)
    assert one.shape == (1, 3, SIDE, SIDE)
    assert (one - other).abs().max() < 0.15
    assert abs(float(one.mean())) < 1e-3
    assert torch.isfinite(levelled(np.zeros((1, SIDE, SIDE, 3), np.uint8))).all()
