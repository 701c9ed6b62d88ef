"""What the renderer must know of each vertex: place in the skin texture, occlusion, eye, hair.

All of it depends on the model alone and is computed once for its mean shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .morphable_model.morphable_model import MorphableModel
from .render.rasteriser import Raster, rasterise, vertex_normals

Float32 = NDArray[np.float32]

# The skin texture is a cylinder around the head: its axis lies FACE_AXIS before the origin
# (decimetres), its height runs from TOP to BOTTOM.
FACE_AXIS, TOP, BOTTOM = 0.1, 1.15, -1.95
OCCLUSION_VIEWS, OCCLUSION_SIZE = 48, 192
OCCLUSION_SLACK = 0.03  # decimetres: closer surfaces do not shade each other


@dataclass(frozen=True, eq=False)
class SurfacePaint:
    """Constant attributes of the model's vertices.

    texture_place: (n, 2) float32 in [0, 1], right and down in the skin texture.
    lips, bare: (n,) float32 in [0, 1], lip colour; no hair (ears).
    openness, openness_closed: (n,) float32 in [0, 1], the part of the sky that a vertex sees,
    with open and with closed lids.
    eye: (n, 3) float32, place on the eyeball in radii from its centre, z to the pupil; 0 elsewhere.
    normals: (n, 3) float32, of the mean shape.
    """

    texture_place: Float32
    lips: Float32
    bare: Float32
    openness: Float32
    openness_closed: Float32
    eye: Float32
    normals: Float32


def texture_place(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place in the skin texture of points (..., 3) of the mean shape: (..., 2) in [0, 1]."""
    points = np.asarray(points, np.float64)
    angle = np.arctan2(points[..., 0], points[..., 2] - FACE_AXIS)
    return np.stack([angle / (2 * np.pi) + 0.5, (TOP - points[..., 1]) / (TOP - BOTTOM)], -1)


@lru_cache(maxsize=4)
def surface_paint(model: MorphableModel) -> SurfacePaint:
    """The constant vertex attributes of a model."""
    normals = np.empty_like(model.mean)
    vertex_normals(model.mean, model.triangles, normals)
    blink = [name.startswith("eyeBlink") for name in model.expression_names]
    closed = model.shape(None, np.asarray(blink, np.float32))
    none = np.zeros(len(model.mean), np.float32)
    ears = model.masks.get("ears", none)
    return SurfacePaint(
        texture_place=texture_place(model.mean).astype(np.float32),
        lips=_smoothed(model.masks.get("lips", none), model.triangles, 1),
        bare=_smoothed((ears > 0.5).astype(np.float32), model.triangles, 1),
        openness=_openness(model, model.mean),
        openness_closed=_openness(model, closed),
        eye=_eye_places(model),
        normals=normals,
    )


def _eye_places(model: MorphableModel) -> Float32:
    places = np.zeros_like(model.mean)
    eyes = np.unique(model.part_triangles("eyes"))
    for side in (eyes[model.mean[eyes, 0] > 0], eyes[model.mean[eyes, 0] <= 0]):
        points = model.mean[side].astype(np.float64)
        # The sphere |p - c|^2 = r^2 is linear in c and r^2 - |c|^2.
        system = np.column_stack([2 * points, np.ones(len(points))])
        solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
        offset = points - solution[:3]
        places[side] = offset / np.linalg.norm(offset, axis=1).mean()
    return places


def _openness(model: MorphableModel, mesh: Float32) -> Float32:
    """Cosine-weighted share of directions in which a vertex sees out, over a Fibonacci sphere."""
    steps = np.arange(OCCLUSION_VIEWS) + 0.5
    z = 1 - 2 * steps / OCCLUSION_VIEWS
    turn = np.pi * (1 + 5**0.5) * steps
    ring = np.sqrt(1 - z**2)
    normals = np.empty_like(mesh)
    vertex_normals(mesh, model.triangles, normals)
    directions = np.column_stack([ring * np.cos(turn), z, ring * np.sin(turn)])
    seen, total = np.zeros(len(normals)), np.full(len(normals), 1e-6)
    raster = Raster.empty(OCCLUSION_SIZE, OCCLUSION_SIZE)
    for direction in directions:
        cosine = np.maximum(normals @ direction, 0.0)
        seen += cosine * visible_from(mesh, model.triangles, direction, raster)
        total += cosine
    return _smoothed((seen / total).astype(np.float32), model.triangles, 2)


def visible_from(
    mesh: Float32,
    triangles: NDArray[np.int32],
    direction: NDArray[np.float64],
    raster: Raster,
) -> NDArray[np.bool_]:
    """Whether each vertex (n,) is seen from far away in a direction (3,), without perspective."""
    height, width = raster.triangle.shape
    axes = parallel_axes(mesh, direction, width)
    screen = mesh @ axes[:, :3].T + axes[:, 3]
    rasterise(screen, triangles, raster)
    column = np.clip(np.rint(screen[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(screen[:, 1]).astype(int), 0, height - 1)
    return np.asarray(screen[:, 2] >= raster.nearness[row, column] - OCCLUSION_SLACK)


def parallel_axes(mesh: Float32, direction: NDArray[np.float64], size: int) -> Float32:
    """The view of a mesh along a direction, without perspective, on a square of `size` pixels.

    Returns (3, 4) float32: column, row and nearness (in the mesh's unit, 1 or more) as affine
    functions of the mesh's coordinates.
    """
    z = direction / np.linalg.norm(direction)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.99 else (0.0, 0.0, 1.0), z)
    x /= np.linalg.norm(x)
    axes = np.stack([x, -np.cross(z, x), z])
    turned = mesh @ axes.T
    low, high = turned.min(0), turned.max(0)
    scale = (size - 3) / max(high[0] - low[0], high[1] - low[1])
    factors = np.array([scale, scale, 1.0])
    return np.column_stack([axes * factors[:, None], 1.0 - low * factors]).astype(np.float32)


def _smoothed(values: Float32, triangles: NDArray[np.int32], rounds: int) -> Float32:
    """Vertex values averaged with their neighbours."""
    result = values.astype(np.float64)
    corners = triangles.ravel()
    count = np.maximum(np.bincount(corners, minlength=len(values)), 1)
    for _ in range(rounds):
        of_triangle = np.repeat(result[triangles].mean(1), 3)
        result = np.bincount(corners, of_triangle, minlength=len(values)) / count
    return result.astype(np.float32)
