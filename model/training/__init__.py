"""The trainer: pre-training (Eq. 4) and training on Action Units (Eq. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .embed import EmbedSummary, embed
    from .linear_svm import run_linear_svm
    from .losses import au_loss, triplet_loss
    from .pretraining import PretrainSummary, pretrain, pretraining_dry_run
    from .training import TrainSummary, train, training_plan

__all__ = [
    "EmbedSummary",
    "PretrainSummary",
    "TrainSummary",
    "au_loss",
    "embed",
    "pretrain",
    "pretraining_dry_run",
    "run_linear_svm",
    "train",
    "training_plan",
    "triplet_loss",
]

load_when_asked(
    __name__,
    {
        "embed": ("EmbedSummary", "embed"),
        "linear_svm": ("run_linear_svm",),
        "losses": ("au_loss", "triplet_loss"),
        "pretraining": ("PretrainSummary", "pretrain", "pretraining_dry_run"),
        "training": ("TrainSummary", "train", "training_plan"),
    },
)
