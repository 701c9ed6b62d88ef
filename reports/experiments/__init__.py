"""The paper's tables and figures on one's own data, beside the published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .experiment import ExperimentSummary, run_experiment

__all__ = [
    "ExperimentSummary",
    "run_experiment",
]

load_when_asked(
    __name__,
    {
        "experiment": ("ExperimentSummary", "run_experiment"),
    },
)
