"""Rendered people with known truth, in a real dataset's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .clips import Truth, read_truth, subject_names, synthesise
    from .dataset import LAYOUTS, synthesis_dry_run, synthesise_dataset
    from .motion import Motion, random_motion

__all__ = [
    "LAYOUTS",
    "Motion",
    "Truth",
    "random_motion",
    "read_truth",
    "subject_names",
    "synthesis_dry_run",
    "synthesise",
    "synthesise_dataset",
]

load_when_asked(
    __name__,
    {
        "clips": ("Truth", "read_truth", "subject_names", "synthesise"),
        "dataset": ("LAYOUTS", "synthesis_dry_run", "synthesise_dataset"),
        "motion": ("Motion", "random_motion"),
    },
)
