"""The asymmetric loss, in the place of Eq. 5's cross entropy; beyond the paper, an option.

Source: Ridnik et al. (2021), "Asymmetric Loss for Multi-Label Classification". Absent AUs that the
network is sure of count less (focusing), and not at all below a small probability (margin), so
that the few present ones are not outvoted. The weights 1 / r between the AUs stay those of Eq. 5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# gamma+, gamma- and m of the source's experiments.
POSITIVE_FOCUS, NEGATIVE_FOCUS, MARGIN = 0.0, 4.0, 0.05


def weighted_asymmetric_loss(
    logits: Tensor,
    labels: Tensor,
    ratio: Tensor,
    *,
    positive_focus: float = POSITIVE_FOCUS,
    negative_focus: float = NEGATIVE_FOCUS,
    margin: float = MARGIN,
) -> Tensor:
    """The loss of each frame: (b,).

    Present: -(1 - p)^positive_focus log p. Absent: -q^negative_focus log(1 - q) with
    q = max(p - margin, 0). Each over r, then the mean over the AUs, as in Eq. 5.

    logits: (b, a). labels: (b, a), 1 present, 0 absent, -1 unknown (gives no loss and no
    gradient). ratio: (a,), r of Eq. 5.
    """
    probability = logits.sigmoid()
    present = -functional.logsigmoid(logits)
    if positive_focus:
        present = present * (1 - probability) ** positive_focus
    shifted = (probability - margin).clamp(min=0)
    absent = -(shifted**negative_focus) * torch.log1p(-shifted)
    loss = torch.where(labels == 1, present, absent)
    return (torch.where(labels >= 0, loss, torch.zeros_like(loss)) / ratio).mean(1)
