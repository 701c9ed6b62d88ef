"""A shard for people: its content as a table, its frames as a contact sheet, its meshes as files.

`glee inspect` shows the first two, `glee export` writes the third.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import ShardError, UsageError
from ...fitting.camera import Camera, to_camera
from ...fitting.exporters.export import export_fits
from ...fitting.morphable_model.landmark_scheme import CURVES
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...whole_files import write_whole
from ..images.crops import transform_points
from .shard import REASONS, FitArrays, Shard, ShardHeader, read_shard

_OF_A_VIDEO = (
    ", WORK/shards/SUBJECT/CLIP; of a video itself, `glee analyze VIDEO -o OUT --format gltf` "
    "makes an animated head"
)
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


def describe_shard(path: Path) -> str:
    """Describe a shard's source, options, frames, labels and fit.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    str
        A table, as text of several lines.

    Raises
    ------
    ShardError
        Where the shard cannot be read or does not agree with its checksum.
    """
    shard = read_shard(Path(path))
    rows = [*_source(shard), *_frames(shard), *_labels(shard), *_fit(shard)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _source(shard: Shard) -> list[tuple[str, str]]:
    header = shard.header
    width, height = header.frame_size
    rate = f", {header.fps:.4g} frames/s" if header.fps else ""
    options = ", ".join(f"{name} {value}" for name, value in sorted(header.options.items()))
    return [
        ("shard", str(shard.path)),
        ("dataset", f"{header.dataset}, subject {header.subject}, clip {header.clip}"),
        ("source", f"{header.source}, {header.source_size} bytes, {width}x{height}{rate}"),
        ("made by", f"glee {header.glee_version}, detector {header.detector}"),
        *([("made on", header.processor)] if header.processor else []),
        ("options", options),
    ]


def _frames(shard: Shard) -> list[tuple[str, str]]:
    header, frames = shard.header, shard.frames
    valid = frames.valid
    rows = [
        (
            "frames",
            f"{len(shard)} (clip's {header.start} to {header.stop - 1}), {valid.sum()} valid",
        )
    ]
    for number, name in enumerate(REASONS):
        where = np.flatnonzero(frames.reason == number) if number else np.empty(0, int)
        if where.size:
            rows.append((f"  {name}", f"{where.size}: {_runs(frames.frame_id[where])}"))
    if valid.any():
        rows.append(("confidence", _spread(frames.confidence[valid], ".2f")))
    kilobytes = np.diff(shard.crop_offset).mean() / 1024
    side = shard.crop_size
    rows.append(("crops", f"{side}x{side} {shard.encoding}, {kilobytes:.1f} KB each"))
    return rows


def _labels(shard: Shard) -> list[tuple[str, str]]:
    header = shard.header
    if not header.au_names:
        return [("labels", "none")]
    known = shard.labels >= 0
    rows = [("labels", f"{header.label_kind} of {len(header.au_names)} AUs")]
    for column, name in enumerate(header.au_names):
        values = shard.labels[known[:, column], column]
        levels, times = np.unique(values, return_counts=True)
        counts = ", ".join(f"{v}: {n}" for v, n in zip(levels, times, strict=True))
        unknown = len(shard) - len(values)
        rows.append((f"  {name}", counts + (f", unknown: {unknown}" if unknown else "")))
    return rows


def _fit(shard: Shard) -> list[tuple[str, str]]:
    fit = shard.fit
    if fit is None:
        return [("fit", "none")]
    done = fit.converged
    shown = {name: value for name, value in fit.options.items() if name != "source"}
    options = ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))
    rows = [
        ("fit", f"{done.sum()} frames converged, model {fit.model}, focal {fit.focal:.0f} pixels"),
        ("  options", options),
    ]
    if done.any():
        rows.append(("  rmse", f"{_spread(fit.rmse[done], '.2f')} pixels"))
        rows.append(("  iterations", _spread(fit.iterations[done], ".0f")))
        angles = np.degrees(fit.pose[done, :3])
        for axis, name in enumerate(("turn x", "turn y", "turn z")):
            rows.append((f"  {name}", f"{_spread(angles[:, axis], '.1f')} degrees"))
    return rows


def _spread(values: npt.NDArray[np.generic], form: str) -> str:
    low, middle, high = np.percentile(np.asarray(values, np.float64), [5, 50, 95])
    return f"median {middle:{form}} (5 % {low:{form}}, 95 % {high:{form}})"


def _runs(numbers: npt.NDArray[np.int64], most: int = 8) -> str:
    """Frame numbers as runs, such as "3-9 12"."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [
        f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in np.split(numbers, breaks)
    ]
    return " ".join(runs[:most]) + (
        f" and {len(runs) - most} more runs" if len(runs) > most else ""
    )


def shard_facts(path: Path) -> dict[str, Any]:
    """Give what `describe_shard` shows as plain data.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    dict
        Header, frames by reason, labels by AU and code, the fit's spread.

    Raises
    ------
    ShardError
        As `describe_shard`.
    """
    shard = read_shard(Path(path))
    header, frames, fit = shard.header, shard.frames, shard.fit
    counts = np.bincount(frames.reason, minlength=len(REASONS))
    labels = {}
    for column, name in enumerate(header.au_names):
        levels, times = np.unique(shard.labels[:, column], return_counts=True)
        labels[name] = {str(v): int(n) for v, n in zip(levels, times, strict=True)}
    facts: dict[str, Any] = {
        "shard": str(shard.path),
        **asdict(header),
        "frames": len(shard),
        "reasons": {REASONS[i]: int(count) for i, count in enumerate(counts) if count},
        "crop_size": shard.crop_size,
        "encoding": shard.encoding,
        "labels": labels,
        "fit": None,
    }
    if fit is not None:
        rmse = fit.rmse[fit.converged]
        facts["fit"] = {
            "model": fit.model,
            "focal": fit.focal,
            "options": dict(fit.options),
            "converged": int(fit.converged.sum()),
            "median_rmse": float(np.median(rmse)) if rmse.size else None,
        }
    return facts


def contact_sheet(path: Path, png_out: Path, *, frames: int = 24, columns: int = 6) -> None:
    """Write a PNG of frames, evenly spread over a shard.

    A fitted shard shows the mesh beside each frame's landmarks.

    Parameters
    ----------
    path : Path
        The shard.
    png_out : Path
        The picture.
    frames : int
        So many frames, at most.
    columns : int
        Of the sheet.

    Raises
    ------
    ShardError
        Where the shard cannot be read.
    OutputError
        Where the PNG cannot be written.
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
    in_camera: npt.NDArray[np.float64],
    triangles: npt.NDArray[np.int32],
) -> None:
    """Blend the shaded mesh over a picture, far triangles first.

    points: (n, 2) cell pixels. in_camera: (n, 3) camera coordinates. triangles: (m, 3).
    """
    corners = in_camera[triangles]
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


def export_shard(
    path: Path, output: Path, *, frame: int | None = None, model_path: Path | None = None
) -> int:
    """Write the fits of a shard, or of all shards of a clip, as .obj, .glb or .npz.

    Parameters
    ----------
    path : Path
        The shard, or the clip's folder, whose chunks follow each other in the file.
    output : Path
        The file; its ending names the format.
    frame : int or None
        Only this frame of the shard or clip, from 0.
    model_path : Path or None
        The morphable model's file; None for the embedded one.

    Returns
    -------
    int
        So many frames are in the file.

    Raises
    ------
    ShardError
        Where a shard is not fitted or with another model, or a chunk of the clip is missing.
    UsageError
        For a frame that it does not have, another ending, or a folder that is no clip's.
    OutputError
        Where the file cannot be written.
    """
    path, model = Path(path), load_model(model_path)
    parts = [(header, _fit_of(shard, fit, model)) for shard, header, fit in _chunks(path)]
    count = sum(len(fit.f_exp) for _, fit in parts)
    if frame is not None and not 0 <= frame < count:
        what = "clip" if path.is_dir() else "shard"
        raise UsageError(f"frame {frame}: the {what} has frames 0 to {count - 1}")
    rows = slice(None) if frame is None else slice(frame, frame + 1)
    f_shape, f_exp, pose = (
        np.concatenate([getattr(fit, name) for _, fit in parts])[rows]
        for name in ("f_shape", "f_exp", "pose")
    )
    export_fits(output, model, f_shape, f_exp, pose, parts[0][0].fps)
    return len(f_exp)


def _chunks(path: Path) -> Iterator[tuple[Path, ShardHeader, FitArrays | None]]:
    """Header and fit of a shard, or of a clip's in order; one where a chunk begins late."""
    shards = [path]
    if path.is_dir():
        shards = sorted(path.glob("*.h5"))
        if not shards:
            clip = min((shard.parent for shard in path.rglob("*.h5")), default=None)
            such_as = f", such as {clip}" if clip is not None else _OF_A_VIDEO
            raise UsageError(f"{path}: holds no shards itself; give the folder of a clip{such_as}")
    begin = None
    for one in shards:
        shard = read_shard(one)
        if path.is_dir() and shard.header.start != (begin or 0):
            raise ShardError(
                f"{path}: frames {begin or 0} to {shard.header.start - 1} are missing before "
                f"{one.name}; run `glee preprocess` again"
            )
        begin = shard.header.stop
        yield one, shard.header, shard.fit


def _fit_of(path: Path, fit: FitArrays | None, model: MorphableModel) -> FitArrays:
    if fit is None:
        raise ShardError(f"{path}: is not fitted; run `glee fit3d` on its work folder first")
    if fit.model != model.name:
        raise ShardError(
            f"{path}: was fitted with model {fit.model}, not {model.name}; give that model"
        )
    return fit
