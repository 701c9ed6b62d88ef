"""What a notebook needs: `glee.open` and `glee.plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .work_table import WorkFolder, open_work

__all__ = [
    "WorkFolder",
    "open_work",
]

load_when_asked(
    __name__,
    {
        "work_table": ("WorkFolder", "open_work"),
    },
)
