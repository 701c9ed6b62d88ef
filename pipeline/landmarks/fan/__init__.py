"""The `fan` detector: Bulat and Tzimiropoulos' FAN, through the package face-alignment.

Its weights are files of the user's; nothing here imports torch or the package before it is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import FanDetector

__all__ = ["FanDetector"]

_HOMES = {"FanDetector": "backend"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
