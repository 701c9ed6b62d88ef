"""Rendered people with known truth, in a real dataset's layout.

The public names below are loaded when they are first asked for: reading a truth file does not load
the renderer of another layout.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clips import Truth, read_truth, synthesise
    from .dataset import LAYOUTS, synthesis_dry_run, synthesise_dataset
    from .motion import Motion, random_motion

__all__ = [
    "LAYOUTS",
    "Motion",
    "Truth",
    "random_motion",
    "read_truth",
    "synthesise",
    "synthesise_dataset",
    "synthesis_dry_run",
]

_HOMES = {
    "LAYOUTS": "dataset",
    "Motion": "motion",
    "Truth": "clips",
    "random_motion": "motion",
    "read_truth": "clips",
    "synthesise": "clips",
    "synthesise_dataset": "dataset",
    "synthesis_dry_run": "dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
