"""Curves of Action Units and the coding of people: events to the coders' tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .au_table import FaceCurves, read_au_table
    from .event_files import write_events
    from .events import Event, EventOptions, find_events

__all__ = [
    "Event",
    "EventOptions",
    "FaceCurves",
    "find_events",
    "read_au_table",
    "write_events",
]

load_when_asked(
    __name__,
    {
        "au_table": ("FaceCurves", "read_au_table"),
        "event_files": ("write_events",),
        "events": ("Event", "EventOptions", "find_events"),
    },
)
