"""Importers of other morphable models: one file a format, all brought to glee's conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .import_model import FORMATS, import_model
    from .raw_model import RawModel
    from .registration import Registration, carry_blendshapes, carry_landmarks, register_embedded

__all__ = [
    "FORMATS",
    "RawModel",
    "Registration",
    "carry_blendshapes",
    "carry_landmarks",
    "import_model",
    "register_embedded",
]

load_when_asked(
    __name__,
    {
        "import_model": ("FORMATS", "import_model"),
        "raw_model": ("RawModel",),
        "registration": (
            "Registration",
            "carry_blendshapes",
            "carry_landmarks",
            "register_embedded",
        ),
    },
)
