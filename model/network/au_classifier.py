"""The classifiers: AU tokens through a Transformer, or an MLP (Table 5's "w/o TC")."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class AUPrediction(NamedTuple):
    """Logits of both predictions, (b, au_count) each; present where sigmoid(final) > 0.5."""

    initial: Tensor
    final: Tensor


class ParallelLinear(nn.Module):
    """One linear layer for each AU, computed together.

    count: of the layers. inputs, outputs: of each.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(b, count, inputs) -> (b, count, outputs)."""
        return (x.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias


class JointLayer(nn.Linear):
    """The joint FC: every final logit from all initial logits. Starts as the identity."""

    def __init__(self, count: int) -> None:
        super().__init__(count, count)
        with torch.no_grad():
            self.weight.copy_(torch.eye(count))
            self.bias.zero_()


class TransformerClassifier(nn.Module):
    """Parallel MLPs -> one token an AU -> Transformer encoders -> independent FC -> joint FC.

    inputs: width of the joint representation F_exp. hidden: width inside the parallel MLPs.
    width: of a token. heads, feed_forward, dropout: of each encoder. joint_fc: without it, the
    initial prediction is the final one.
    """

    def __init__(
        self,
        au_count: int,
        inputs: int,
        *,
        hidden: int,
        width: int = 32,
        encoders: int = 3,
        heads: int = 4,
        feed_forward: int = 128,
        dropout: float = 0.1,
        joint_fc: bool = True,
    ) -> None:
        super().__init__()
        self.au_count = au_count
        self.token_hidden = ParallelLinear(au_count, inputs, hidden)
        self.token = ParallelLinear(au_count, hidden, width)
        layer = nn.TransformerEncoderLayer(width, heads, feed_forward, dropout, batch_first=True)
        self.encoders = nn.TransformerEncoder(layer, encoders, enable_nested_tensor=False)
        self.independent = ParallelLinear(au_count, width, 1)
        self.joint = JointLayer(au_count) if joint_fc else nn.Identity()

    def forward(self, f: Tensor) -> AUPrediction:
        """F_exp (b, inputs) -> logits."""
        views = f[:, None, :].expand(-1, self.au_count, -1)
        tokens = self.token(torch.relu(self.token_hidden(views)))
        initial = self.independent(self.encoders(tokens)).squeeze(-1)
        return AUPrediction(initial, self.joint(initial))


class MLPClassifier(nn.Module):
    """A plain multi-label MLP in place of the Transformer, with the same two predictions."""

    def __init__(self, au_count: int, inputs: int, *, hidden: int, joint_fc: bool = True) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.independent = nn.Linear(hidden, au_count)
        self.joint = JointLayer(au_count) if joint_fc else nn.Identity()

    def forward(self, f: Tensor) -> AUPrediction:
        """F_exp (b, inputs) -> logits."""
        initial = self.independent(self.mlp(f))
        return AUPrediction(initial, self.joint(initial))
