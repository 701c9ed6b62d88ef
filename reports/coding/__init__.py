"""Curves of Action Units and the coding of people: events to the coders' tools, coding back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .agreement import Agreement, AgreeOptions, agree
    from .au_table import FaceCurves, read_au_table
    from .coding_files import pair_codings, read_codings
    from .event_files import write_events
    from .events import Event, EventOptions, find_events

__all__ = [
    "AgreeOptions",
    "Agreement",
    "Event",
    "EventOptions",
    "FaceCurves",
    "agree",
    "find_events",
    "pair_codings",
    "read_au_table",
    "read_codings",
    "write_events",
]

load_when_asked(
    __name__,
    {
        "agreement": ("AgreeOptions", "Agreement", "agree"),
        "au_table": ("FaceCurves", "read_au_table"),
        "coding_files": ("pair_codings", "read_codings"),
        "event_files": ("write_events",),
        "events": ("Event", "EventOptions", "find_events"),
    },
)
