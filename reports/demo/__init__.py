"""`glee demo`: the whole path on rendered people, held against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .demo import DemoOptions, demo, demo_dry_run

__all__ = [
    "DemoOptions",
    "demo",
    "demo_dry_run",
]

load_when_asked(
    __name__,
    {
        "demo": ("DemoOptions", "demo", "demo_dry_run"),
    },
)
