"""Writes a model or its fits in the format that a file's ending names: OBJ, glTF or .npz.

A model's ``.npz`` has the keys of the importer `generic_npz`. OBJ is Wavefront's text format; glTF
is in gltf.py.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...whole_files import write_whole
from ..morphable_model.morphable_model import MorphableModel
from .gltf import write_gltf

ENDINGS = (".obj", ".glb", ".npz")


def export_model(path: Path, model: MorphableModel) -> None:
    """Write a model: mean mesh (.obj), morph targets (.glb) or the `npz` importer's arrays (.npz).

    Parameters
    ----------
    path : its ending chooses the format
    model : the morphable model

    Raises
    ------
    UsageError
        another ending
    OutputError
        the file cannot be written
    """
    ending = _ending(path)
    if ending == ".obj":
        write_obj(path, model.mean, model.triangles, model.uv)
    elif ending == ".glb":
        write_gltf(path, model)
    else:
        write_model_npz(path, model)


def export_fits(
    path: Path,
    model: MorphableModel,
    f_shape: NDArray[np.floating],
    f_exp: NDArray[np.floating],
    pose: NDArray[np.floating],
    fps: float,
) -> None:
    """Write fitted frames: an animation (.glb), all meshes (.npz), or the mesh of one frame (.obj).

    Parameters
    ----------
    path : its ending chooses the format
    model : that was fitted
    f_shape : (n, s) float, NaN where a frame was not fitted
    f_exp : (n, e) float, NaN where a frame was not fitted
    pose : (n, 6) float, rotation vector (radians) and translation (decimetres); only in .glb
    fps : frames a second, of the animation

    Raises
    ------
    UsageError
        another ending, several frames as OBJ, or no frame is fitted
    OutputError
        the file cannot be written
    """
    ending = _ending(path)
    good = np.flatnonzero(np.isfinite(f_exp).all(axis=1) & np.isfinite(f_shape).all(axis=1))
    if not len(good):
        raise UsageError(f"{path}: none of the frames is fitted; there is nothing to export")
    if ending == ".glb":
        own = f_shape[good[0]]
        if len(f_exp) == 1:
            write_gltf(path, model, f_shape=own, f_exp=f_exp[0], pose=pose[0])
        else:
            rate = fps if fps > 0 else 25.0
            write_gltf(path, model, f_shape=own, f_exp=f_exp, pose=pose, fps=rate)
    elif ending == ".npz":
        nothing = np.full_like(model.mean, np.nan)
        fitted = set(good.tolist())
        meshes = [
            model.shape(f_shape[i], f_exp[i]) if i in fitted else nothing for i in range(len(f_exp))
        ]
        write_mesh_npz(path, np.stack(meshes), model.triangles)
    elif len(f_exp) == 1:
        write_obj(path, model.shape(f_shape[0], f_exp[0]), model.triangles, model.uv)
    else:
        raise UsageError(
            f"{path}: an OBJ file holds one frame; give --frame, or write .glb or .npz"
        )


def _ending(path: Path) -> str:
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{path}: ending {ending!r}; give one of {', '.join(ENDINGS)}")
    return ending


def write_model_npz(path: Path, model: MorphableModel, landmark_set: str = "anatomical") -> None:
    """Write a model with one of its landmark sets, in the keys of the importer `generic_npz`.

    Parameters
    ----------
    path : the ``.npz``
    model : the morphable model
    landmark_set : name of the set

    Raises
    ------
    UsageError
        the model has no such set
    OutputError
        the file cannot be written
    """
    if landmark_set not in model.landmarks:
        raise UsageError(
            f"landmark set '{landmark_set}': the model has {', '.join(sorted(model.landmarks))}"
        )
    landmarks = model.landmarks[landmark_set]
    arrays: dict[str, NDArray[Any]] = {
        "name": np.array(model.name),
        "unit": np.array("dm"),
        "mean": model.mean,
        "identity": model.identity,
        "expression": model.expression,
        "expression_names": np.array(model.expression_names),
        "triangles": model.triangles,
        "mirror": model.mirror,
        "parts": model.parts,
        "part_names": np.array(model.part_names),
        "landmark_vertices": landmarks.vertices,
        "landmark_weights": landmarks.weights,
    }
    if model.uv is not None:
        arrays["uv"] = model.uv
    write_whole(Path(path), npz_bytes(arrays))


def write_mesh_npz(
    path: Path, meshes: NDArray[np.floating], triangles: NDArray[np.integer]
) -> None:
    """Write one mesh or a sequence as the arrays `mesh` and `triangles`.

    Parameters
    ----------
    path : the ``.npz``
    meshes : (n, 3) or (frames, n, 3) float, decimetres, NaN where a frame was not fitted
    triangles : (m, 3) int from 0

    Raises
    ------
    UsageError
        the shapes do not fit
    OutputError
        the file cannot be written
    """
    first = meshes[0] if meshes.ndim == 3 and len(meshes) else meshes
    check_mesh(np.nan_to_num(first), triangles)
    arrays: dict[str, NDArray[Any]] = {
        "mesh": np.asarray(meshes, np.float32),
        "triangles": np.asarray(triangles, np.int32),
        "unit": np.array("dm"),
    }
    write_whole(Path(path), npz_bytes(arrays))


def npz_bytes(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Make an ``.npz`` whose bytes depend on the arrays alone: no time stamps.

    Parameters
    ----------
    arrays : by name

    Returns
    -------
    bytes
        of the file
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def write_obj(
    path: Path,
    mesh: NDArray[np.floating],
    triangles: NDArray[np.integer],
    uv: NDArray[np.floating] | None = None,
) -> None:
    """Write a mesh as Wavefront OBJ, its unit unchanged (decimetres in glee).

    Parameters
    ----------
    path : the ``.obj``
    mesh : (n, 3) float
    triangles : (m, 3) int from 0
    uv : (n, 2) float, texture coordinates, or None

    Raises
    ------
    UsageError
        the shapes do not fit or a value is not finite
    OutputError
        the file cannot be written
    """
    check_mesh(mesh, triangles, uv)
    lines = ["# glee; decimetres, x to the person's left, y up, z to the front"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in np.asarray(mesh, np.float64).tolist()]
    corners = (np.asarray(triangles, np.int64) + 1).tolist()
    if uv is None:
        lines += [f"f {a} {b} {c}" for a, b, c in corners]
    else:
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in np.asarray(uv, np.float64).tolist()]
        lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in corners]
    write_whole(Path(path), ("\n".join(lines) + "\n").encode("ascii"))


def check_mesh(
    mesh: NDArray[np.floating],
    triangles: NDArray[np.integer],
    uv: NDArray[np.floating] | None = None,
) -> None:
    """Check that a mesh can be written.

    Parameters
    ----------
    mesh : (n, 3) float
    triangles : (m, 3) int from 0
    uv : (n, 2) float, texture coordinates, or None

    Raises
    ------
    UsageError
        the shapes do not fit or a value is not finite
    """
    if mesh.ndim != 2 or mesh.shape[1] != 3 or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise UsageError(
            f"mesh {mesh.shape} and triangles {triangles.shape} must be (n, 3), (m, 3)"
        )
    if not np.isfinite(mesh).all():
        raise UsageError("the mesh holds NaN or infinite values; export a frame that was fitted")
    if triangles.size and (triangles.min() < 0 or triangles.max() >= len(mesh)):
        raise UsageError(f"triangles name vertices outside 0 to {len(mesh) - 1}")
    if uv is not None and uv.shape != (len(mesh), 2):
        raise UsageError(f"uv {uv.shape} must be ({len(mesh)}, 2)")
