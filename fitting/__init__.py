"""Numerics: from landmarks to coefficients (Eq. 3), the morphable model, pictures of it.

Read fit.py down to solver/. The public names below are loaded when they are first asked for:
importing one module of this package does not compile the kernels of another.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .camera import Camera
    from .dense_points import DenseObservations
    from .fit import Fit, fit
    from .morphable_model.landmark_noise import LandmarkNoise
    from .morphable_model.model_file import load_model
    from .morphable_model.morphable_model import MorphableModel
    from .options import ExpressionPrior, FitOptions

__all__ = [
    "Camera",
    "DenseObservations",
    "ExpressionPrior",
    "Fit",
    "FitOptions",
    "LandmarkNoise",
    "MorphableModel",
    "fit",
    "load_model",
]

_HOMES = {
    "Camera": "camera",
    "DenseObservations": "dense_points",
    "ExpressionPrior": "options",
    "Fit": "fit",
    "FitOptions": "options",
    "LandmarkNoise": "morphable_model.landmark_noise",
    "MorphableModel": "morphable_model.morphable_model",
    "fit": "fit",
    "load_model": "morphable_model.model_file",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
