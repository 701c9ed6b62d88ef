"""Where a face is and its 68 points: the protocol of a backend, the backends, tracking."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends import BackendSettings, detector_names, load_detector
    from .dense_landmarks import DenseDetector
    from .detector import BatchDetector, Box, Detector, TurnedBox, Wrapped
    from .tracking import FaceTracker, TrackedFrame

__all__ = [
    "BackendSettings",
    "BatchDetector",
    "Box",
    "DenseDetector",
    "Detector",
    "FaceTracker",
    "TrackedFrame",
    "TurnedBox",
    "Wrapped",
    "detector_names",
    "load_detector",
]

# Loaded when they are first asked for: importing one module of this folder imports no other.
_HOMES = {
    "BackendSettings": "backends",
    "BatchDetector": "detector",
    "Box": "detector",
    "DenseDetector": "dense_landmarks",
    "Detector": "detector",
    "FaceTracker": "tracking",
    "TrackedFrame": "tracking",
    "TurnedBox": "detector",
    "Wrapped": "detector",
    "detector_names": "backends",
    "load_detector": "backends",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
