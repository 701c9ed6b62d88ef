"""Pictures of the model that a detector takes for photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .appearance import Appearance, Levers, Light, levers_of, random_appearance, random_light
    from .model_sheet import draw_model_sheet
    from .rasteriser import Raster, rasterise, screen_points
    from .renderer import render, render_moving

__all__ = [
    "Appearance",
    "Levers",
    "Light",
    "Raster",
    "draw_model_sheet",
    "levers_of",
    "random_appearance",
    "random_light",
    "rasterise",
    "render",
    "render_moving",
    "screen_points",
]

load_when_asked(
    __name__,
    {
        "appearance": (
            "Appearance",
            "Levers",
            "Light",
            "levers_of",
            "random_appearance",
            "random_light",
        ),
        "model_sheet": ("draw_model_sheet",),
        "rasteriser": ("Raster", "rasterise", "screen_points"),
        "renderer": ("render", "render_moving"),
    },
)
