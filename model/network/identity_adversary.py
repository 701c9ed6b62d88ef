"""An adversary that tells the training subjects apart from E_exp; beyond the paper, an option.

It learns to name the subject; the reversed gradient makes the branches unlearn what it uses.
Sources: Ganin and Lempitsky (2015), "Unsupervised domain adaptation by backpropagation"; Ning et
al. (2024), "Representation Learning and Identity Adversarial Training for Facial Behavior
Understanding", who reverse on subjects of AU datasets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Reversal(torch.autograd.Function):
    """The identity forwards, minus `strength` times the gradient backwards."""

    @staticmethod
    def forward(context: Any, x: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Give x unchanged, whose gradient comes back times -strength.

    Parameters
    ----------
    x : Tensor
        Of any shape.
    strength : float
        Of the reversal.

    Returns
    -------
    Tensor
        A view of x.
    """
    reversed_x: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_x


class AdversarialPrediction(NamedTuple):
    """An AUPrediction while an adversary is trained.

    Attributes
    ----------
    initial, final : (b, a) float
        Logits of the AUs, as in AUPrediction.
    subject : (b, subjects) float
        The adversary's logits of the training subjects.
    """

    initial: Tensor
    final: Tensor
    subject: Tensor


class IdentityAdversary(nn.Module):
    """E_exp -> gradient reversal -> a hidden layer -> logits of the training subjects.

    Parameters
    ----------
    width : int
        Width of E_exp.
    hidden : int
        Width of the hidden layer.
    subjects : int
        Training subjects to tell apart.
    strength : float
        Of the reversal; the adversary itself learns at full strength.
    """

    def __init__(self, width: int, hidden: int, subjects: int, strength: float) -> None:
        super().__init__()
        self.width = width
        self.strength = strength
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, subjects)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Name the subjects of embeddings E_exp, (b, width) float -> logits (b, subjects)."""
        logits: Tensor = self.layers(reverse_gradient(embedding, self.strength))
        return logits


def identity_loss(logits: Tensor, subject: Tensor) -> Tensor:
    """Compute the cross entropy of each frame.

    Parameters
    ----------
    logits : (b, subjects) float
        The adversary's.
    subject : (b,) int64
        Number of each frame's subject.

    Returns
    -------
    (b,) float32
        Losses.
    """
    return functional.cross_entropy(logits.float(), subject, reduction="none")
