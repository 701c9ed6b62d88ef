"""Decision thresholds from validation subjects; beyond the paper (0.5, §3.5), an option.

A threshold is put into the probabilities themselves: their logits are shifted so that present
still means above 0.5, and whatever reads predictions need not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .prediction.evaluation import Labels
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PLAIN = 0.5


def best_threshold(probability: npt.NDArray[np.floating], labels: Labels) -> float:
    """The threshold of highest F1, halfway between two probabilities; of equal ones that nearest
    to 0.5. 0.5 where the frames hold no present or no absent label.

    probability: (n,). labels: (n,) int8, 1 present, 0 absent, -1 unknown (left out).
    """
    known = labels >= 0
    value = np.asarray(probability[known], np.float64)
    present = labels[known] == 1
    if not present.any() or present.all():
        return PLAIN
    order = np.argsort(-value, kind="stable")
    value, present = value[order], present[order]
    hits = np.cumsum(present)
    # Cut after item k: the k + 1 highest are called present.
    f1 = 2 * hits / (np.arange(1, len(value) + 1) + present.sum())
    following = np.append(value[1:], 0.0)
    f1[value == following] = -1.0  # equal probabilities cannot be parted
    cut = (value + following) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(cut[best[np.abs(cut[best] - PLAIN).argmin()]])


def best_thresholds(probability: npt.NDArray[np.floating], labels: Labels) -> Floats:
    """`best_threshold` of each AU: (n, a) and (n, a) -> (a,)."""
    columns = range(labels.shape[1])
    return np.array([best_threshold(probability[:, i], labels[:, i]) for i in columns])


def shift_to_half(
    probability: npt.NDArray[np.floating], thresholds: Floats
) -> npt.NDArray[np.float32]:
    """Probabilities (n, a) whose logits are lessened by those of the thresholds (a,).

    What was above its threshold is above 0.5 now; the order of the frames stays.
    """
    odds = np.clip(thresholds, 1e-6, 1 - 1e-6)
    odds = odds / (1 - odds)
    value = np.asarray(probability, np.float64)
    return np.asarray(value / (value + (1 - value) * odds), np.float32)
