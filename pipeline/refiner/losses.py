"""What the refiner is trained for: likely errors, and openings as wide as they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Landmarks above and below an opening, or brow and lid: what expression is read from.
GAPS = (
    *((37, 41), (38, 40), (43, 47), (44, 46)),
    *((61, 67), (62, 66), (63, 65), (51, 62), (66, 57)),
    *((19, 37), (21, 39), (22, 42), (24, 44), (17, 36), (26, 45), (33, 51), (48, 54)),
)
# Pixels at which the distance's loss turns from square to linear.
TURN = 1.0
GAP_WEIGHT = 0.5


def likelihood_loss(points: Tensor, factors: Tensor, truth: Tensor) -> Tensor:
    """Mean negative log likelihood of Gaussians, without its constant.

    points, truth: (n, 68, 2), pixels. factors: (n, 68, 2, 2) lower Cholesky factors L of the
    covariances: log |L| + |L^-1 (truth - points)|^2 / 2.
    """
    first, second, corner = factors[..., 0, 0], factors[..., 1, 1], factors[..., 1, 0]
    x, y = (truth - points).unbind(-1)
    u = x / first
    v = (y - corner * u) / second
    negative: Tensor = first.log() + second.log() + 0.5 * (u * u + v * v)
    return negative.mean()


def distance_loss(points: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 of points and of the gaps between them, pixels."""
    upper, lower = (list(side) for side in zip(*GAPS, strict=True))
    gaps = points[:, lower] - points[:, upper]
    true_gaps = truth[:, lower] - truth[:, upper]
    of_points = functional.smooth_l1_loss(points, truth, beta=TURN)
    of_gaps = functional.smooth_l1_loss(gaps, true_gaps, beta=TURN)
    return of_points + GAP_WEIGHT * of_gaps


def loss(points: Tensor, factors: Tensor, truth: Tensor, *, likelihood: float) -> Tensor:
    """Distance and, weighted by `likelihood` (0 in the warm-up), the likelihood.

    The distance stays in: by likelihood alone, points that are sure of themselves too early learn
    from the hard pictures last.
    """
    total = distance_loss(points, truth)
    if likelihood > 0.0:
        total = total + likelihood * likelihood_loss(points, factors, truth)
    else:
        total = total + 0.0 * factors.sum()
    return total


def normalised_error(points: Tensor, truth: Tensor) -> Tensor:
    """Mean distance over the inter-ocular distance, of the inner 51: (n,)."""
    distance: Tensor = torch.linalg.norm(points[:, 17:] - truth[:, 17:], dim=-1).mean(1)
    scale: Tensor = torch.linalg.norm(truth[:, 45] - truth[:, 36], dim=-1)
    return distance / scale
