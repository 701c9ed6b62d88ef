"""A refiner of landmarks: from a face and its first landmarks to 68 points with covariances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....public_names import load_when_asked

if TYPE_CHECKING:
    from .fine_tuning import train_on_photographs
    from .refine import RefinedDetector, refine
    from .training import train_landmarks

__all__ = ["RefinedDetector", "refine", "train_landmarks", "train_on_photographs"]

load_when_asked(
    __name__,
    {
        "fine_tuning": ("train_on_photographs",),
        "refine": ("RefinedDetector", "refine"),
        "training": ("train_landmarks",),
    },
)
