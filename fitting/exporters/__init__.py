"""Exporters of meshes and models: OBJ, glTF with morph targets, .npz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .export import export_fits, export_model
    from .gltf import write_gltf

__all__ = [
    "export_fits",
    "export_model",
    "write_gltf",
]

load_when_asked(
    __name__,
    {
        "export": ("export_fits", "export_model"),
        "gltf": ("write_gltf",),
    },
)
