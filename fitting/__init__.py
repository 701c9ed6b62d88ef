"""Eq. 3, from landmarks to coefficients: `fit.py` is the door, read down to `solver/`.

Numerics only: NumPy, SciPy and Numba, and nothing of a detector, a dataset or a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..public_names import load_when_asked

if TYPE_CHECKING:
    from .camera import Camera
    from .dense_points import DenseObservations
    from .fit import Fit, fit
    from .morphable_model.landmark_noise import LandmarkNoise
    from .morphable_model.model_file import load_model
    from .morphable_model.morphable_model import MorphableModel
    from .options import ExpressionPrior, FitOptions
    from .witness import Witness

__all__ = [
    "Camera",
    "DenseObservations",
    "ExpressionPrior",
    "Fit",
    "FitOptions",
    "LandmarkNoise",
    "MorphableModel",
    "Witness",
    "fit",
    "load_model",
]

load_when_asked(
    __name__,
    {
        "camera": ("Camera",),
        "dense_points": ("DenseObservations",),
        "fit": ("Fit", "fit"),
        "morphable_model.landmark_noise": ("LandmarkNoise",),
        "morphable_model.model_file": ("load_model",),
        "morphable_model.morphable_model": ("MorphableModel",),
        "options": ("ExpressionPrior", "FitOptions"),
        "witness": ("Witness",),
    },
)
