"""The refiner's losses against scipy and by hand."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal

from glee.pipeline.landmarks.refiner import training


def test_likelihood_is_that_of_a_gaussian():
    rng = np.random.default_rng(0)
    points, truth = rng.normal(0.0, 2.0, (2, 3, 68, 2))
    factors = np.tril(rng.normal(0.0, 1.0, (3, 68, 2, 2)))
    for axis in (0, 1):
        factors[..., axis, axis] = rng.uniform(0.3, 3.0, (3, 68))
    expected = [
        -multivariate_normal(mean, factor @ factor.T).logpdf(true) - np.log(2 * np.pi)
        for mean, factor, true in zip(
            points.reshape(-1, 2), factors.reshape(-1, 2, 2), truth.reshape(-1, 2), strict=True
        )
    ]
    found = training.likelihood_loss(*map(torch.from_numpy, (points, factors, truth)))
    np.testing.assert_allclose(float(found), np.mean(expected), rtol=1e-9)


def test_a_gap_that_is_wrong_costs_more_than_a_face_that_is_shifted():
    truth = torch.zeros(1, 68, 2)
    shifted = truth + torch.tensor([0.0, 0.5])
    opened = truth.clone()
    for upper, lower in training.GAPS:
        opened[:, upper, 1] -= 0.5
        opened[:, lower, 1] += 0.5
    moved = (opened != truth).any(-1).float().mean()
    of_points = training.distance_loss(shifted, truth)
    assert training.distance_loss(opened, truth) > 2.0 * moved * of_points


def test_warm_up_leaves_the_covariance_alone():
    factors = torch.ones(2, 68, 2, 2, requires_grad=True)
    points = torch.ones(2, 68, 2, requires_grad=True)
    training.loss(points, factors, torch.zeros(2, 68, 2), likelihood=0.0).backward()
    assert not factors.grad.any()
    assert points.grad.any()


def test_normalised_error_is_over_the_distance_of_the_eyes():
    truth = torch.zeros(1, 68, 2)
    truth[0, 45, 0] = 50.0
    points = truth + torch.tensor([3.0, 4.0])
    np.testing.assert_allclose(training.normalised_error(points, truth).numpy(), [0.1])
