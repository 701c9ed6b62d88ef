"""From a video to numbers without a dataset: `glee analyze`, frame by frame as they are decoded.

The door is `analyze()` in analyze.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .analyze import ClipAnalysis, analyses, analyze
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
    "analyses",
    "analyze",
]

load_when_asked(
    __name__,
    {
        "analyze": ("ClipAnalysis", "analyses", "analyze"),
        "face_fit": ("AUScorer", "FaceFitter", "Identity"),
        "face_stream": ("FaceFrame", "FaceRows"),
        "inputs": ("AnalysisPlan",),
    },
)
