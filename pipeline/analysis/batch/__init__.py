"""Many clips and long ones: what is whole is kept, what was stopped goes on, in several processes.

An analysis of one clip is in clip.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....public_names import load_when_asked

if TYPE_CHECKING:
    from .clip import ClipAnalyzer
    from .journal import Journal
    from .outcome import ClipAnalysis
    from .record import AnalysisRecord, read_record
    from .workers import analyze_in_processes

__all__ = [
    "AnalysisRecord",
    "ClipAnalysis",
    "ClipAnalyzer",
    "Journal",
    "analyze_in_processes",
    "read_record",
]

load_when_asked(
    __name__,
    {
        "clip": ("ClipAnalyzer",),
        "journal": ("Journal",),
        "outcome": ("ClipAnalysis",),
        "record": ("AnalysisRecord", "read_record"),
        "workers": ("analyze_in_processes",),
    },
)
