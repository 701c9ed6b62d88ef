"""What a run was worth and what a video holds, as offline HTML files; demo and others below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..public_names import load_when_asked

if TYPE_CHECKING:
    from .doctor import examine
    from .report import Report, Section, render_report, write_report
    from .run_report import run_report
    from .video_report import video_report
    from .work_report import work_report

__all__ = [
    "Report",
    "Section",
    "examine",
    "render_report",
    "run_report",
    "video_report",
    "work_report",
    "write_report",
]

load_when_asked(
    __name__,
    {
        "doctor": ("examine",),
        "report": ("Report", "Section", "render_report", "write_report"),
        "run_report": ("run_report",),
        "video_report": ("video_report",),
        "work_report": ("work_report",),
    },
)
