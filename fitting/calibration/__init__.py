"""A model's landmarks laid where a detector sees them, over random renders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .calibration import (
        Sample,
        anatomical_pixels,
        calibration,
        noise_on_renders,
        samples,
        set_pixels,
    )
    from .dense import calibrated_dense, dense_samples
    from .random_faces import random_expression, random_face, random_pose

__all__ = [
    "Sample",
    "anatomical_pixels",
    "calibrated_dense",
    "calibration",
    "dense_samples",
    "noise_on_renders",
    "random_expression",
    "random_face",
    "random_pose",
    "samples",
    "set_pixels",
]

load_when_asked(
    __name__,
    {
        "calibration": (
            "Sample",
            "anatomical_pixels",
            "calibration",
            "noise_on_renders",
            "samples",
            "set_pixels",
        ),
        "dense": ("calibrated_dense", "dense_samples"),
        "random_faces": ("random_expression", "random_face", "random_pose"),
    },
)
