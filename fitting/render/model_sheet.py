"""A picture of a morphable model: mean, identity modes, expressions, and its landmarks on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...whole_files import write_whole
from ..camera import Camera, to_camera
from ..morphable_model.morphable_model import MorphableModel
from ..morphable_model.surface import vertex_normals
from .rasteriser import Raster, rasterise, screen_points

Image = NDArray[np.uint8]

CELL = 240
DISTANCE = 9.0  # decimetres from the camera to the model's origin
IDENTITY_ROWS = 4
EXPRESSIONS = 18
COLUMNS = 6
LIGHT = np.array([0.35, 0.5, 0.8]) / np.linalg.norm([0.35, 0.5, 0.8])
COLOURS = {
    "skin": (205, 170, 150),
    "lips": (185, 95, 95),
    "mouth": (90, 40, 40),
    "eyes": (235, 235, 230),
    "teeth": (240, 235, 215),
    "tongue": (190, 105, 100),
}
PLAIN = (180, 180, 185)
BACKGROUND, INK, MARK = 250, (30, 30, 30), (20, 90, 220)


def draw_model_sheet(model: MorphableModel, path: Path) -> None:
    """Write a picture of a model.

    Parameters
    ----------
    model : the morphable model
    path : a PNG

    Raises
    ------
    OutputError
        the file cannot be written
    """
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(model_sheet(model)[..., ::-1]))
    assert done, "a PNG of an image of this type can always be encoded"
    write_whole(Path(path), encoded.tobytes())


def model_sheet(model: MorphableModel) -> Image:
    """Draw views with landmarks, identity modes at +-2 standard deviations, and expressions at 1.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    (h, w, 3) uint8
        RGB
    """
    mean = model.mean
    cells = [
        _landmark_cell(model, name, yaw)
        for name in sorted(model.landmarks)[:2]
        for yaw in (0.0, 0.6, -0.6)
    ]
    cells += [_labelled(draw_mesh(model, mean, yaw=yaw), "mean") for yaw in (0.0, 0.6, 1.2)]
    cells += [_blank()] * (-len(cells) % COLUMNS)
    for mode in range(min(IDENTITY_ROWS * COLUMNS // 2, len(model.identity))):
        for value in (-2.0, 2.0):
            mesh = mean + np.float32(value) * model.identity[mode]
            cells.append(_labelled(draw_mesh(model, mesh), f"identity {mode} at {value:+.0f}"))
    cells += [_blank()] * (-len(cells) % COLUMNS)
    for index in _shown_expressions(model):
        mesh = mean + model.expression[index]
        cells.append(_labelled(draw_mesh(model, mesh), model.expression_names[index]))
    cells += [_blank()] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    return np.vstack(rows)


def draw_mesh(
    model: MorphableModel, mesh: NDArray[np.floating], *, yaw: float = 0.0, size: int = CELL
) -> Image:
    """Draw a mesh of a model, shaded by one lamp.

    Parameters
    ----------
    model : its triangles and parts
    mesh : (n, 3) float, decimetres
    yaw : of the head, radians
    size : side of the picture, pixels

    Returns
    -------
    (size, size, 3) uint8
        RGB
    """
    camera, pose = _view(size, yaw)
    vertices = to_camera(mesh, pose)
    raster = rasterise(
        screen_points(vertices, camera.focal, camera.centre),
        model.triangles,
        Raster.empty(size, size),
    )
    normals = vertex_normals(vertices.astype(np.float32), model.triangles)
    colours = np.array([COLOURS.get(name, PLAIN) for name in model.part_names], np.float64)
    drawn = raster.triangle >= 0
    triangle, two = raster.triangle[drawn], raster.weights[drawn].astype(np.float64)
    weights = np.concatenate([two, 1.0 - two.sum(1, keepdims=True)], axis=1)
    normal = np.einsum("jk,jkc->jc", weights, normals[model.triangles[triangle]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    shade = 0.35 + 0.65 * np.clip(normal @ LIGHT, 0.0, 1.0)
    image = np.full((size, size, 3), BACKGROUND, np.uint8)
    image[drawn] = np.clip(colours[model.parts[triangle]] * shade[:, None] * 1.15, 0, 255)
    return image


def _view(size: int, yaw: float) -> tuple[Camera, NDArray[np.float64]]:
    camera = Camera.for_image(size, size, 2.9 * size)
    return camera, np.array([0.0, yaw, 0.0, 0.0, 0.3, -DISTANCE])


def _landmark_cell(model: MorphableModel, name: str, yaw: float) -> Image:
    """A view with one landmark set, the curves and the jaw lines drawn over it."""
    scale = 2 * CELL
    image = draw_mesh(model, model.mean, yaw=yaw, size=scale)
    camera, pose = _view(scale, yaw)
    lines = [points.on(model.mean) for points in model.curves.values()]
    lines += list(model.jaw_candidates.on(model.mean))
    for line in lines:
        _polyline(image, camera.project(line, pose))
    for x, y in camera.project(model.landmarks[name].on(model.mean), pose):
        cv2.circle(image, (round(16 * x), round(16 * y)), 64, MARK, -1, cv2.LINE_AA, 4)
    small = cv2.resize(image, (CELL, CELL), interpolation=cv2.INTER_AREA)
    return _labelled(np.asarray(small, np.uint8), f"{name} landmarks")


def _polyline(image: Image, points: ArrayLike) -> None:
    fixed = np.rint(16 * np.asarray(points)).astype(np.int32)
    cv2.polylines(image, [fixed], False, (40, 140, 60), 1, cv2.LINE_AA, 4)


def _shown_expressions(model: MorphableModel) -> list[int]:
    """Up to EXPRESSIONS indices, spread over the basis."""
    count = len(model.expression_names)
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, EXPRESSIONS))})


def _labelled(image: Image, label: str) -> Image:
    image = image.copy()
    cv2.putText(image, label, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return image


def _blank() -> Image:
    return np.full((CELL, CELL, 3), BACKGROUND, np.uint8)
