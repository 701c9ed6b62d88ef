"""A picture of a shard: crops with landmarks and, when fitted, the mesh over the face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...fitting.camera import Camera, to_camera
from ...fitting.morphable_model.landmark_scheme import CURVES
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...whole_files import write_whole
from ..images.crops import transform_points
from .shard import REASONS, Shard, read_shard

_CELL = 300
_CAPTION = 22
_POINT = (0, 255, 120)
_LINE = (0, 170, 90)
_CAPTION_COLOUR = (235, 235, 235)
_WARNING_COLOUR = (255, 130, 110)
_MESH_SHARE = 0.65
_LIGHT = np.array([0.3, 0.4, 0.87])
# Sub-pixel bits of OpenCV's drawing.
_SHIFT = 4

Image = npt.NDArray[np.uint8]


def contact_sheet(path: Path, png_out: Path, *, frames: int = 24, columns: int = 6) -> None:
    """Write a PNG of up to `frames` frames, evenly spread over a shard.

    A fitted shard shows the mesh beside each frame's landmarks.

    Raises ShardError where the shard cannot be read, OutputError where the PNG cannot be written.
    """
    shard = read_shard(Path(path))
    chosen = np.unique(np.linspace(0, len(shard) - 1, min(frames, len(shard))).round().astype(int))
    model = load_model() if shard.fit is not None else None
    cells = []
    for index in chosen:
        cells.append(_landmark_cell(shard, int(index)))
        if model is not None:
            cells.append(_mesh_cell(shard, int(index), model))
    done, data = cv2.imencode(".png", cv2.cvtColor(_grid(cells, columns), cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError("the contact sheet cannot be encoded")
    write_whole(Path(png_out), data.tobytes())


def _grid(cells: list[Image], columns: int) -> Image:
    columns = min(columns, len(cells))
    height, width = cells[0].shape[:2]
    sheet = np.full((-(-len(cells) // columns) * height, columns * width, 3), 30, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = cell
    return sheet


def _landmark_cell(shard: Shard, index: int) -> Image:
    frames = shard.frames
    valid = bool(frames.valid[index])
    picture = _enlarged(shard, index)
    if valid:
        points = _in_cell(shard, index, frames.landmarks[index])
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
        for curve in CURVES.values():
            cv2.polylines(picture, [fixed[list(curve)]], False, _LINE, 1, cv2.LINE_AA, _SHIFT)
        for x, y in fixed.tolist():
            cv2.circle(picture, (x, y), 2 << _SHIFT, _POINT, -1, cv2.LINE_AA, _SHIFT)
    state = f"{frames.confidence[index]:.2f}" if valid else REASONS[frames.reason[index]]
    colour = _CAPTION_COLOUR if valid else _WARNING_COLOUR
    return _captioned(picture, f"{frames.frame_id[index]}  {state}", colour)


def _mesh_cell(shard: Shard, index: int, model: MorphableModel) -> Image:
    fit = shard.fit
    picture = _enlarged(shard, index)
    if fit is None or not (shard.frames.valid[index] and np.isfinite(fit.pose[index]).all()):
        return _captioned(picture, "not fitted", _WARNING_COLOUR)
    mesh = model.shape(fit.f_shape[index], fit.f_exp[index])
    pose = fit.pose[index]
    camera = Camera.for_image(*fit.image_size, focal=fit.focal)
    points = _in_cell(shard, index, camera.project(mesh, pose))
    _draw_mesh(picture, points, to_camera(mesh, pose), model.triangles)
    colour = _CAPTION_COLOUR if fit.converged[index] else _WARNING_COLOUR
    return _captioned(picture, f"rmse {fit.rmse[index]:.2f}", colour)


def _draw_mesh(
    picture: Image,
    points: npt.NDArray[np.float64],
    seen: npt.NDArray[np.float64],
    triangles: npt.NDArray[np.int32],
) -> None:
    """Blend the shaded mesh over a picture, far triangles first.

    points: (n, 2) cell pixels. seen: (n, 3) camera coordinates. triangles: (m, 3).
    """
    corners = seen[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    facing = np.flatnonzero(np.einsum("ij,ij->i", normal, -corners[:, 0]) > 0)
    order = facing[np.argsort(corners[facing, :, 2].mean(1), kind="stable")]
    light = _smooth_light(normal, triangles, len(points))
    fixed = np.round(points * (1 << _SHIFT)).clip(-(1 << 20), 1 << 20).astype(np.int32)
    drawn = picture.copy()
    for triangle in order:
        shade = float(light[triangle])
        colour = (140 * shade, 185 * shade, 235 * shade)
        cv2.fillConvexPoly(drawn, fixed[triangles[triangle]], colour, cv2.LINE_8, _SHIFT)
    cv2.addWeighted(drawn, _MESH_SHARE, picture, 1.0 - _MESH_SHARE, 0.0, dst=picture)


def _smooth_light(
    normal: npt.NDArray[np.float64], triangles: npt.NDArray[np.int32], count: int
) -> npt.NDArray[np.float64]:
    """Brightness of each triangle from its corners' mean normals, so that facets do not show."""
    corner_normal = np.zeros((count, 3))
    for corner in range(3):
        np.add.at(corner_normal, triangles[:, corner], normal)
    smooth = corner_normal[triangles].sum(1)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    return np.asarray(np.clip(smooth @ _LIGHT, 0.1, 1.0))


def _enlarged(shard: Shard, index: int) -> Image:
    crop = shard.crop(index)
    return np.asarray(cv2.resize(crop, (_CELL, _CELL), interpolation=cv2.INTER_CUBIC), np.uint8)


def _in_cell(shard: Shard, index: int, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Source pixels -> cell pixels (pixel centres at whole numbers in both)."""
    crop = transform_points(points, shard.frames.transform[index])
    return np.asarray((crop + 0.5) * (_CELL / shard.crop_size) - 0.5)


def _captioned(picture: Image, text: str, colour: tuple[int, int, int]) -> Image:
    bar = np.full((_CAPTION, _CELL, 3), 30, np.uint8)
    cv2.putText(bar, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return np.vstack([picture, bar])
