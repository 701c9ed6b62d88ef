"""What a run was worth, as one offline HTML file; the demo, notebooks and experiments below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..public_names import load_when_asked

if TYPE_CHECKING:
    from .doctor import examine
    from .report import Report, Section, render_report, write_report
    from .run_report import run_report
    from .work_report import work_report

__all__ = [
    "Report",
    "Section",
    "examine",
    "render_report",
    "run_report",
    "work_report",
    "write_report",
]

load_when_asked(
    __name__,
    {
        "doctor": ("examine",),
        "report": ("Report", "Section", "render_report", "write_report"),
        "run_report": ("run_report",),
        "work_report": ("work_report",),
    },
)
