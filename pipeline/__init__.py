"""From videos to shards: datasets, frames, landmarks, aligned crops and the stages over them.

The doors are `preprocess()` in preprocess.py and `fit3d()` in fit3d.py; every folder here serves
them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import AnalyzeOptions, Fit3dOptions, PreprocessOptions, TrackingOptions
    from .summary import Summary

__all__ = [
    "AnalyzeOptions",
    "Fit3dOptions",
    "PreprocessOptions",
    "Summary",
    "TrackingOptions",
]

# Loaded when they are first asked for: importing one module of this folder imports no other.
_HOMES = {
    "AnalyzeOptions": "options",
    "Fit3dOptions": "options",
    "PreprocessOptions": "options",
    "Summary": "summary",
    "TrackingOptions": "options",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
