"""The two losses of the paper: Eq. 4 on triplets, Eq. 5 on Action Units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ..network.au_classifier import AUPrediction
from ..network.identity_adversary import AdversarialPrediction


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: Tensor) -> Tensor:
    """Compute Eq. 4 for each triplet; anchor and positive are the two that look most alike.

    Parameters
    ----------
    anchor, positive, negative : (b, width) float
        E_exp before normalisation.
    margin : (b,) float
        Of Eq. 4, squared distances of unit vectors.

    Returns
    -------
    (b,) float
        Losses.
    """
    a, p, n = (functional.normalize(x, dim=1) for x in (anchor, positive, negative))
    alike = (a - p).square().sum(1)
    from_anchor = (a - n).square().sum(1)
    from_positive = (p - n).square().sum(1)
    return torch.relu(alike - from_anchor + margin) + torch.relu(alike - from_positive + margin)


def occurrence_ratio(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Compute r of Eq. 5: how often each AU is present among its known labels.

    Parameters
    ----------
    labels : (n, a) int8
        Of the training frames: 1 present, 0 absent, -1 unknown.

    Returns
    -------
    (a,) float64
        In (0, 1]: an AU that never occurs counts as if it did once, one without known labels as 1,
        so that 1 / r stays finite.
    """
    known = (labels >= 0).sum(0)
    present = np.maximum((labels == 1).sum(0), 1)
    return np.where(known > 0, present / np.maximum(known, 1), 1.0)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, ratio: Tensor) -> Tensor:
    """Compute Eq. 5 for each frame.

    Parameters
    ----------
    logits : (b, a) float
        Of one prediction.
    labels : (b, a) int8
        1 present, 0 absent, -1 unknown (gives no loss and no gradient).
    ratio : (a,) float
        r of Eq. 5.

    Returns
    -------
    (b,) float
        Losses.
    """
    known = labels >= 0
    target = labels.clamp(min=0).to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (torch.where(known, entropy, torch.zeros_like(entropy)) / ratio).mean(1)


def au_loss(
    prediction: AUPrediction | AdversarialPrediction, labels: Tensor, ratio: Tensor
) -> Tensor:
    """Compute Eq. 5 on the initial plus on the final predictions, for each frame.

    Parameters
    ----------
    prediction : AUPrediction or AdversarialPrediction
        Logits (b, a) each.
    labels : (b, a) int8
        1 present, 0 absent, -1 unknown.
    ratio : (a,) float
        r of Eq. 5.

    Returns
    -------
    (b,) float32
        Losses.
    """
    initial = weighted_cross_entropy(prediction.initial.float(), labels, ratio)
    return initial + weighted_cross_entropy(prediction.final.float(), labels, ratio)
