"""From videos to shards: datasets, frames, landmarks, aligned crops and the stages over them.

The doors are `preprocess()` and `fit3d()`, and `analysis.analyze()`; every folder here serves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..public_names import load_when_asked

if TYPE_CHECKING:
    from .fit3d import fit3d
    from .options import AnalyzeOptions, Fit3dOptions, PreprocessOptions, TrackingOptions
    from .preprocess import preprocess
    from .summary import Summary

__all__ = [
    "AnalyzeOptions",
    "Fit3dOptions",
    "PreprocessOptions",
    "Summary",
    "TrackingOptions",
    "fit3d",
    "preprocess",
]

load_when_asked(
    __name__,
    {
        "fit3d": ("fit3d",),
        "options": ("AnalyzeOptions", "Fit3dOptions", "PreprocessOptions", "TrackingOptions"),
        "preprocess": ("preprocess",),
        "summary": ("Summary",),
    },
)
