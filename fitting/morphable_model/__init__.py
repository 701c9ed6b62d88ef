"""A morphable model: bases, named points on its surface, its file, how a detector errs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .description import expression_basis, model_facts, model_info
    from .landmark_noise import LandmarkNoise, YawNoise
    from .landmark_scheme import (
        ARKIT_NAMES,
        CURVES,
        INNER,
        MIRROR,
        REGIONS,
        inter_ocular_distance,
        nme,
    )
    from .model_file import load_model, model_digest, read_model, write_model
    from .morphable_model import MorphableModel, PointBasis, SurfacePoints, check_model
    from .surface import (
        FrontView,
        NearestSurface,
        first_hits,
        laplacian_of,
        mesh_edges,
        triangle_normals,
        vertex_normals,
    )

__all__ = [
    "ARKIT_NAMES",
    "CURVES",
    "FrontView",
    "INNER",
    "LandmarkNoise",
    "MIRROR",
    "MorphableModel",
    "NearestSurface",
    "PointBasis",
    "REGIONS",
    "SurfacePoints",
    "YawNoise",
    "check_model",
    "expression_basis",
    "first_hits",
    "inter_ocular_distance",
    "laplacian_of",
    "load_model",
    "mesh_edges",
    "model_digest",
    "model_facts",
    "model_info",
    "nme",
    "read_model",
    "triangle_normals",
    "vertex_normals",
    "write_model",
]

load_when_asked(
    __name__,
    {
        "description": ("expression_basis", "model_facts", "model_info"),
        "landmark_noise": ("LandmarkNoise", "YawNoise"),
        "landmark_scheme": (
            "ARKIT_NAMES",
            "CURVES",
            "INNER",
            "MIRROR",
            "REGIONS",
            "inter_ocular_distance",
            "nme",
        ),
        "model_file": ("load_model", "model_digest", "read_model", "write_model"),
        "morphable_model": ("MorphableModel", "PointBasis", "SurfacePoints", "check_model"),
        "surface": (
            "FrontView",
            "NearestSurface",
            "first_hits",
            "laplacian_of",
            "mesh_edges",
            "triangle_normals",
            "vertex_normals",
        ),
    },
)
