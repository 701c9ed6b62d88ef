"""Where a face is and its 68 points: the protocol of a backend, the backends, tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

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

load_when_asked(
    __name__,
    {
        "backends": ("BackendSettings", "detector_names", "load_detector"),
        "dense_landmarks": ("DenseDetector",),
        "detector": ("BatchDetector", "Box", "Detector", "TurnedBox", "Wrapped"),
        "tracking": ("FaceTracker", "TrackedFrame"),
    },
)
