"""The classifiers: AU tokens through a Transformer, or an MLP (Table 5's "w/o TC")."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class AUPrediction(NamedTuple):
    """What the classifier says of b frames; an AU is present where sigmoid(final) > 0.5 (§3.5).

    Attributes
    ----------
    initial : (b, a) float
        Logits of the independent FC.
    final : (b, a) float
        Logits of the joint FC.
    """

    initial: Tensor
    final: Tensor


class ParallelLinear(nn.Module):
    """One linear layer for each AU, computed together.

    Parameters
    ----------
    count : int
        Layers.
    inputs, outputs : int
        Width of each layer's input and output.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Apply layer i to x[:, i]: (b, count, inputs) float -> (b, count, outputs)."""
        return (x.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias


class JointLayer(nn.Linear):
    """The joint FC: every final logit from all initial logits. It starts as the identity.

    Parameters
    ----------
    count : int
        AUs.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, count)
        with torch.no_grad():
            self.weight.copy_(torch.eye(count))
            self.bias.zero_()


class TransformerClassifier(nn.Module):
    """Parallel MLPs, one token an AU, Transformer encoders, independent FC, joint FC (§3.5).

    Parameters
    ----------
    au_count : int
        AUs.
    inputs : int
        Width of the joint representation F_exp.
    hidden : int
        Width inside the parallel MLPs.
    width : int
        Width of a token.
    encoders : int
        Transformer encoders.
    heads : int
        Attention heads of each encoder.
    feed_forward : int
        Width inside each encoder's feed-forward layers.
    dropout : float
        Share of values dropped in each encoder.
    joint_fc : bool
        Without the joint FC the initial prediction is the final one (Table 5).
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
        """Predict the AUs of b frames.

        Parameters
        ----------
        f : (b, inputs) float
            F_exp, the joint representation.

        Returns
        -------
        AUPrediction
            Logits, (b, au_count) each.
        """
        views = f[:, None, :].expand(-1, self.au_count, -1)
        tokens = self.token(torch.relu(self.token_hidden(views)))
        initial = self.independent(self.encoders(tokens)).squeeze(-1)
        return AUPrediction(initial, self.joint(initial))


class MLPClassifier(nn.Module):
    """A plain multi-label MLP in place of the Transformer (Table 5, "w/o TC").

    Parameters
    ----------
    au_count : int
        AUs.
    inputs : int
        Width of the joint representation F_exp.
    hidden : int
        Width of both hidden layers.
    joint_fc : bool
        Without the joint FC the initial prediction is the final one.
    """

    def __init__(self, au_count: int, inputs: int, *, hidden: int, joint_fc: bool = True) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.independent = nn.Linear(hidden, au_count)
        self.joint = JointLayer(au_count) if joint_fc else nn.Identity()

    def forward(self, f: Tensor) -> AUPrediction:
        """Predict the AUs of b frames.

        Parameters
        ----------
        f : (b, inputs) float
            F_exp, the joint representation.

        Returns
        -------
        AUPrediction
            Logits, (b, au_count) each.
        """
        initial = self.independent(self.mlp(f))
        return AUPrediction(initial, self.joint(initial))
