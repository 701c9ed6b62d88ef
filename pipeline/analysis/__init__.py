"""From a video to numbers without a dataset: `glee analyze`, frame by frame as they are decoded.

The door is `analyze()` in analyze.py.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analyze import ClipAnalysis
    from .face_fit import AUScorer, FaceFitter, Identity
    from .face_stream import FaceFrame, FaceRows
    from .inputs import AnalysisPlan

__all__ = [
    "AUScorer",
    "AnalysisPlan",
    "ClipAnalysis",
    "FaceFitter",
    "FaceFrame",
    "FaceRows",
    "Identity",
]

# Loaded when they are first asked for: importing one module of this folder imports no other.
_HOMES = {
    "AUScorer": "face_fit",
    "AnalysisPlan": "inputs",
    "ClipAnalysis": "analyze",
    "FaceFitter": "face_fit",
    "FaceFrame": "face_stream",
    "FaceRows": "face_stream",
    "Identity": "face_fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
