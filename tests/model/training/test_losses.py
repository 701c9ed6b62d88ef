"""Eq. 4 and Eq. 5 against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from glee.model.network.au_classifier import AUPrediction
from glee.model.training.losses import (
    au_loss,
    occurrence_ratio,
    triplet_loss,
    weighted_cross_entropy,
)
from glee.pipeline.datasets.fec import MARGINS


def test_equation_4_by_hand():
    # After normalisation a = (1, 0), p = (0.6, 0.8), n = (0, 1):
    # |a - p|^2 = 0.16 + 0.64 = 0.8, |a - n|^2 = 2, |p - n|^2 = 0.36 + 0.04 = 0.4
    a, p, n = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.5, 2.0]]), torch.tensor([[0.0, 9.0]])
    # max(0, 0.8 - 2 + 0.2) + max(0, 0.8 - 0.4 + 0.2)
    assert triplet_loss(a, p, n, torch.tensor([0.2])).item() == pytest.approx(0.6)
    # a margin of 1.5 opens the first term too: (0.8 - 2 + 1.5) + (0.8 - 0.4 + 1.5)
    assert triplet_loss(a, p, n, torch.tensor([1.5])).item() == pytest.approx(0.3 + 1.9)


def test_equation_4_takes_the_margin_of_each_triplet():
    a, p, n = (torch.tensor([[1.0, 0.0], [1.0, 0.0]]) for _ in range(3))
    margins = torch.tensor([MARGINS["ONE_CLASS_TRIPLET"], MARGINS["TWO_CLASS_TRIPLET"]])
    # all alike: each triplet loses twice its margin, 0.1 and 0.2
    assert triplet_loss(a, p, n, margins).tolist() == pytest.approx([0.2, 0.4])


def test_equation_5_by_hand():
    # p = (0.8, 0.25), g = (1, 0), r = (0.5, 0.1)
    logits = torch.tensor([[math.log(4), math.log(1 / 3)]])
    loss = weighted_cross_entropy(logits, torch.tensor([[1, 0]]), torch.tensor([0.5, 0.1]))
    expected = -(math.log(0.8) / 0.5 + math.log(0.75) / 0.1) / 2
    assert loss.item() == pytest.approx(expected)


def test_loss_is_on_both_predictions():
    initial, final = torch.tensor([[0.3, -1.0]]), torch.tensor([[2.0, 0.5]])
    labels, ratio = torch.tensor([[1, 0]]), torch.tensor([0.2, 0.4])
    both = au_loss(AUPrediction(initial, final), labels, ratio)
    one = weighted_cross_entropy(initial, labels, ratio)
    other = weighted_cross_entropy(final, labels, ratio)
    assert both.item() == pytest.approx(one.item() + other.item())


def test_unknown_labels_give_neither_loss_nor_gradient():
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    labels = torch.tensor([[1, -1], [-1, 0]], dtype=torch.int8)
    loss = weighted_cross_entropy(logits, labels, torch.tensor([0.5, 0.5]))
    loss.sum().backward()
    assert logits.grad[0, 1] == 0
    assert logits.grad[1, 0] == 0
    assert logits.grad[0, 0] != 0
    assert loss[0].item() == pytest.approx(math.log(1 + math.exp(-1)) / 0.5 / 2)


def test_occurrence_ratio_counts_known_labels_only():
    labels = np.array([[1, 0, -1], [0, 0, -1], [-1, 0, -1], [0, 0, -1]], np.int8)
    # once in three known frames; never in four, counted as once; nothing known
    assert occurrence_ratio(labels) == pytest.approx([1 / 3, 1 / 4, 1.0])
