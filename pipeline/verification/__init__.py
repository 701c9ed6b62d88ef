"""`glee verify`: is a dataset's folder, or a work folder's shards, what it should be?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataset import verify_dataset
    from .report import AUCount, Problem, SubjectCount, Verification
    from .shards import verify_shards

__all__ = [
    "AUCount",
    "Problem",
    "SubjectCount",
    "Verification",
    "verify_dataset",
    "verify_shards",
]

# Loaded when they are first asked for: importing one module of this folder imports no other.
_HOMES = {
    "AUCount": "report",
    "Problem": "report",
    "SubjectCount": "report",
    "Verification": "report",
    "verify_dataset": "dataset",
    "verify_shards": "shards",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
