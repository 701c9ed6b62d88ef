"""The `fan` detector: Bulat and Tzimiropoulos' FAN, through the package face-alignment.

Its weights are files of the user's; nothing here imports torch or the package before it is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....public_names import load_when_asked

if TYPE_CHECKING:
    from .backend import FanDetector

__all__ = [
    "FanDetector",
]

load_when_asked(
    __name__,
    {
        "backend": ("FanDetector",),
    },
)
