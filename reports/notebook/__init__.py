"""What a notebook needs: `glee.analyze`, `glee.open` and `glee.plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .analysis_result import Analyses, Analysis
    from .analyze_videos import analyze_videos
    from .work_table import WorkFolder, open_work

__all__ = [
    "Analyses",
    "Analysis",
    "WorkFolder",
    "analyze_videos",
    "open_work",
]

load_when_asked(
    __name__,
    {
        "analysis_result": ("Analyses", "Analysis"),
        "analyze_videos": ("analyze_videos",),
        "work_table": ("WorkFolder", "open_work"),
    },
)
