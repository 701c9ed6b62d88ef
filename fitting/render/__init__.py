"""Pictures of the model that a detector takes for photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .appearance import (
        Appearance,
        Light,
        RenderParts,
        random_appearance,
        random_light,
        render_parts,
    )
    from .model_sheet import draw_model_sheet
    from .rasteriser import Raster, rasterise, screen_points
    from .renderer import render, render_moving

__all__ = [
    "Appearance",
    "RenderParts",
    "Light",
    "Raster",
    "draw_model_sheet",
    "render_parts",
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
            "RenderParts",
            "Light",
            "render_parts",
            "random_appearance",
            "random_light",
        ),
        "model_sheet": ("draw_model_sheet",),
        "rasteriser": ("Raster", "rasterise", "screen_points"),
        "renderer": ("render", "render_moving"),
    },
)
