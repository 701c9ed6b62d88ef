import math

import numpy as np
import pytest
import torch

from glee.model.asymmetric_loss import weighted_asymmetric_loss
from glee.model.training.losses import weighted_cross_entropy


def test_the_formula_by_hand():
    """One present AU at p = 0.8, one absent at p = 0.6, one unknown; r = 0.5, 0.25, 1."""
    probability = torch.tensor([[0.8, 0.6, 0.9]], dtype=torch.float64)
    labels = torch.tensor([[1, 0, -1]])
    ratio = torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64)
    loss = weighted_asymmetric_loss(probability.logit(), labels, ratio, positive_focus=1.0)
    present = -(0.2**1) * math.log(0.8) / 0.5
    absent = -(0.55**4) * math.log(0.45) / 0.25
    assert float(loss[0]) == pytest.approx((present + absent) / 3, rel=1e-9)


def test_sure_absence_gives_no_loss_and_no_gradient():
    logits = torch.tensor([[-4.0, 0.3]], dtype=torch.float64, requires_grad=True)  # p = 0.018
    labels = torch.tensor([[0, -1]])
    loss = weighted_asymmetric_loss(logits, labels, torch.ones(2, dtype=torch.float64)).sum()
    loss.backward()
    assert loss.item() == 0
    assert np.array_equal(logits.grad, np.zeros((1, 2)))


def test_without_focus_and_margin_it_is_the_cross_entropy():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 2, (6, 4), generator=generator)
    ratio = torch.tensor([0.1, 0.3, 0.5, 0.9], dtype=torch.float64)
    asymmetric = weighted_asymmetric_loss(logits, labels, ratio, negative_focus=0.0, margin=0.0)
    torch.testing.assert_close(asymmetric, weighted_cross_entropy(logits, labels, ratio))


def test_the_gradient_is_that_of_finite_differences():
    logits = torch.tensor([[1.3, -0.4, 2.0]], dtype=torch.float64, requires_grad=True)
    labels, ratio = torch.tensor([[1, 0, 0]]), torch.tensor([0.4, 0.2, 0.7], dtype=torch.float64)

    def loss(x):
        return weighted_asymmetric_loss(x, labels, ratio, positive_focus=1.0).sum()

    assert torch.autograd.gradcheck(loss, (logits,))
