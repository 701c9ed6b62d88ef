"""Writes a model as binary glTF 2.0 (.glb): one morph target an expression, perhaps animated.

Metres, as glTF asks; its axes (y up, z to the front, right-handed) are glee's. Source: the glTF 2.0
specification (Khronos Group; ISO/IEC 12113:2022).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ... import __version__
from ...errors import UsageError
from ...whole_files import write_whole
from ..morphable_model.morphable_model import MorphableModel
from ..morphable_model.surface import vertex_normals
from .irises import iris_coordinates, iris_picture, iris_triangles

METRES = 0.1
FLOAT, UNSIGNED_INT = 5126, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
COLOURS = {
    "skin": (0.62, 0.40, 0.31),
    "lips": (0.48, 0.12, 0.12),
    "mouth": (0.10, 0.02, 0.02),
    "eyes": (0.83, 0.83, 0.80),
    "teeth": (0.87, 0.83, 0.68),
    "tongue": (0.51, 0.14, 0.13),
}
PLAIN = (0.46, 0.46, 0.48)
# Eyes are wet.
EYE_ROUGHNESS = 0.25
CLAMP_TO_EDGE, LINEAR, LINEAR_MIPMAP_LINEAR = 33071, 9729, 9987

Json = dict[str, Any]
# Quaternions (n, 4) and places (n, 3).
Motion = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass
class _Binary:
    """The binary chunk as it grows, its views and accessors."""

    content: bytearray = field(default_factory=bytearray)
    views: list[Json] = field(default_factory=list)
    accessors: list[Json] = field(default_factory=list)

    def append(self, content: bytes) -> int:
        """Append bytes that no accessor reads, such as a picture; returns their view's index."""
        begin = len(self.content)
        self.views.append({"buffer": 0, "byteOffset": begin, "byteLength": len(content)})
        # Numbers that follow begin at a multiple of 4.
        self.content += content + bytes(-len(content) % 4)
        return len(self.views) - 1

    def add(self, array: NDArray[Any], kind: str, *, target: int | None, bounds: bool) -> int:
        """Append an array of float32 or uint32; returns its accessor's index."""
        component = FLOAT if array.dtype == np.float32 else UNSIGNED_INT
        view: Json = {
            "buffer": 0,
            "byteOffset": len(self.content),
            "byteLength": array.nbytes,
        }
        self.views.append(view if target is None else view | {"target": target})
        accessor: Json = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if bounds:
            accessor["min"] = np.atleast_1d(array.min(0)).tolist()
            accessor["max"] = np.atleast_1d(array.max(0)).tolist()
        self.accessors.append(accessor)
        self.content += np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        return len(self.accessors) - 1


def write_gltf(
    path: Path,
    model: MorphableModel,
    *,
    f_shape: ArrayLike | None = None,
    f_exp: ArrayLike | None = None,
    pose: ArrayLike | None = None,
    fps: float | None = None,
    times: ArrayLike | None = None,
) -> None:
    """Write the face of one person as ``.glb``.

    Parameters
    ----------
    path : the ``.glb``
    model : the morphable model
    f_shape : (k,) float, the identity, or None for the mean
    f_exp : (e,) float, the weights at rest; with fps (frames, e), an animation of them, in which a
        frame that is NaN holds the one before
    pose : (6,) or (frames, 6) float, rotation vector (radians) and translation (decimetres) of the
        head as the camera sees it; the first frame's translation is the file's origin. None: the
        head stays upright
    fps : frames a second of the animation, or None for a face at rest
    times : (frames,) float, seconds, ascending; in the place of fps, of videos of a variable rate

    Raises
    ------
    UsageError
        a shape does not fit
    OutputError
        the file cannot be written
    """
    content = gltf_bytes(model, f_shape=f_shape, f_exp=f_exp, pose=pose, fps=fps, times=times)
    write_whole(Path(path), content)


def gltf_bytes(
    model: MorphableModel,
    *,
    f_shape: ArrayLike | None = None,
    f_exp: ArrayLike | None = None,
    pose: ArrayLike | None = None,
    fps: float | None = None,
    times: ArrayLike | None = None,
) -> bytes:
    """Make the content of the file that `write_gltf` writes.

    Parameters
    ----------
    model, f_shape, f_exp, pose, fps, times : as of `write_gltf`

    Returns
    -------
    bytes
        of the ``.glb``

    Raises
    ------
    UsageError
        a shape does not fit
    """
    weights = _weights(model, f_exp, 1.0 if times is not None else fps)
    seconds = _seconds(fps, times, len(weights))
    if f_shape is not None and np.shape(f_shape) != (len(model.identity),):
        raise UsageError(f"f_shape {np.shape(f_shape)} must be ({len(model.identity)},)")
    motion = None if pose is None else _motion(pose, len(weights))
    binary = _Binary()
    mesh: Json = {
        "name": model.name,
        "primitives": _primitives(model, model.shape(f_shape), binary),
        "weights": weights[0].tolist(),
        "extras": {"targetNames": list(model.expression_names)},
    }
    scene: Json = {
        "asset": {"version": "2.0", "generator": f"glee {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": model.name, **_at_rest(motion)}],
        "meshes": [mesh],
        "materials": [_material(name) for name in model.part_names],
    }
    if iris_triangles(model).any():
        _lay_irises(scene, binary)
    if seconds is not None:
        scene["animations"] = [_animation(weights, motion, seconds, binary)]
    scene["buffers"] = [{"byteLength": len(binary.content)}]
    scene["bufferViews"], scene["accessors"] = binary.views, binary.accessors
    return _container(scene, bytes(binary.content))


def _weights(
    model: MorphableModel, f_exp: ArrayLike | None, fps: float | None
) -> NDArray[np.float32]:
    """Weights of every frame (frames, e), finite; one frame without an animation."""
    count = len(model.expression_names)
    weights = np.zeros((1, count)) if f_exp is None else np.array(f_exp, np.float64)
    expected = 1 if fps is None else 2
    if f_exp is not None and (weights.ndim != expected or weights.shape[-1] != count):
        shape = f"({count},)" if fps is None else f"(frames, {count})"
        raise UsageError(f"f_exp {weights.shape} must be {shape}; give fps only with an animation")
    if fps is not None and not (np.isfinite(fps) and fps > 0 and f_exp is not None):
        raise UsageError(f"fps {fps}: give a positive number and f_exp of every frame")
    weights = weights.reshape(-1, count)
    if not len(weights):
        raise UsageError("f_exp has no frames; give at least one")
    return _held(weights).astype(np.float32)


def _seconds(fps: float | None, times: ArrayLike | None, count: int) -> NDArray[np.float32] | None:
    """When each frame is shown, from 0; None without an animation."""
    if times is None:
        return None if fps is None else (np.arange(count) / fps).astype(np.float32)
    known = np.array(times, np.float64)
    if fps is not None or known.shape != (count,) or not (np.diff(known) > 0).all():
        raise UsageError(
            f"times {known.shape} must be ({count},), ascending, and fps is not given beside them"
        )
    return np.asarray(known - known[0], np.float32)


def _held(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames (n, k) with those that are not finite as the one before, or 0."""
    for index, row in enumerate(frames):
        if not np.isfinite(row).all():
            row[:] = frames[index - 1] if index else 0.0
    return frames


def _motion(pose: ArrayLike, count: int) -> Motion:
    """Turns (count, 4) as quaternions x, y, z, w and places (count, 3) in metres, float32."""
    poses = np.array(pose, np.float64)
    if poses.shape != (count, 6) and not (count == 1 and poses.shape == (6,)):
        raise UsageError(f"pose {poses.shape} must be ({count}, 6), one for each frame of f_exp")
    poses = poses.reshape(-1, 6)
    fitted = np.flatnonzero(np.isfinite(poses).all(1))
    if len(fitted):
        poses[:, 3:] -= poses[fitted[0], 3:].copy()
    poses = _held(poses)
    turns = Rotation.from_rotvec(poses[:, :3]).as_quat()
    # A quaternion and its negative are one turn; between two frames the nearer is meant.
    flips = np.where((turns[1:] * turns[:-1]).sum(1) < 0, -1.0, 1.0)
    turns[1:] *= np.cumprod(flips)[:, None]
    return turns.astype(np.float32), (METRES * poses[:, 3:]).astype(np.float32)


def _at_rest(motion: Motion | None) -> Json:
    """How the head's node is turned without an animation, or before it."""
    return {} if motion is None else {"rotation": motion[0][0].tolist()}


def _primitives(model: MorphableModel, mesh: NDArray[np.float32], binary: _Binary) -> list[Json]:
    """One primitive a part, then the irises; all share the vertices and the morph targets."""
    normals = vertex_normals(mesh.astype(np.float64), model.triangles.astype(np.int64))
    normals[~normals.any(1)] = (0.0, 0.0, 1.0)

    def vertices(array: NDArray[np.floating], kind: str, bounds: bool) -> int:
        return binary.add(array.astype(np.float32), kind, target=ARRAY_BUFFER, bounds=bounds)

    attributes = {
        "POSITION": vertices(METRES * mesh, "VEC3", True),
        "NORMAL": vertices(normals, "VEC3", False),
    }
    if model.uv is not None:
        attributes["TEXCOORD_0"] = vertices(model.uv * (1, -1) + (0, 1), "VEC2", False)
    targets = [{"POSITION": vertices(METRES * e, "VEC3", True)} for e in model.expression]
    primitives = []
    irises = iris_triangles(model)
    chosen = [(model.parts == part) & ~irises for part in range(len(model.part_names))]
    for material, triangles in enumerate([*chosen, irises]):
        corners = model.triangles[triangles].reshape(-1).astype(np.uint32)
        if len(corners):
            if material == len(chosen):
                own = vertices(iris_coordinates(model), "VEC2", False)
                attributes = attributes | {"TEXCOORD_0": own}
            indices = binary.add(corners, "SCALAR", target=ELEMENT_ARRAY_BUFFER, bounds=False)
            primitive: Json = {"attributes": attributes, "indices": indices, "material": material}
            primitives.append(primitive | ({"targets": targets} if targets else {}))
    return primitives


def _material(part: str) -> Json:
    red, green, blue = COLOURS.get(part, PLAIN)
    surface = {
        "baseColorFactor": [red, green, blue, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": EYE_ROUGHNESS if part == "eyes" else 0.6,
    }
    return {"name": part, "pbrMetallicRoughness": surface}


def _lay_irises(scene: Json, binary: _Binary) -> None:
    """The last material, its picture in the binary chunk, and how that is read."""
    picture = iris_picture(COLOURS["eyes"])
    scene["images"] = [{"bufferView": binary.append(picture), "mimeType": "image/png"}]
    scene["samplers"] = [
        {
            "magFilter": LINEAR,
            "minFilter": LINEAR_MIPMAP_LINEAR,
            "wrapS": CLAMP_TO_EDGE,
            "wrapT": CLAMP_TO_EDGE,
        }
    ]
    scene["textures"] = [{"sampler": 0, "source": 0}]
    surface = {
        "baseColorTexture": {"index": 0},
        "metallicFactor": 0.0,
        "roughnessFactor": EYE_ROUGHNESS,
    }
    scene["materials"].append({"name": "irises", "pbrMetallicRoughness": surface})


def _animation(
    weights: NDArray[np.float32],
    motion: Motion | None,
    times: NDArray[np.float32],
    binary: _Binary,
) -> Json:
    """The course of the weights, and of the head's turns and places where they are known."""
    seconds = binary.add(times, "SCALAR", target=None, bounds=True)
    tracks = [("weights", "SCALAR", weights.reshape(-1))]
    if motion is not None:
        tracks += [("rotation", "VEC4", motion[0]), ("translation", "VEC3", motion[1])]
    samplers = [
        {
            "input": seconds,
            "output": binary.add(values, kind, target=None, bounds=False),
            "interpolation": "LINEAR",
        }
        for _, kind, values in tracks
    ]
    channels = [
        {"sampler": number, "target": {"node": 0, "path": path}}
        for number, (path, _, _) in enumerate(tracks)
    ]
    return {"name": "expression", "samplers": samplers, "channels": channels}


def _container(scene: Json, content: bytes) -> bytes:
    """The GLB container: header, JSON chunk, binary chunk, each padded to 4 bytes."""
    text = json.dumps(scene, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    content += b"\0" * (-len(content) % 4)
    length = 12 + 8 + len(text) + 8 + len(content)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, length),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(content), b"BIN\0"),
            content,
        ]
    )
