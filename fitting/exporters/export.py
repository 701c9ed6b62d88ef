"""A model or its fits written in the format that a file's ending names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..morphable_model.morphable_model import MorphableModel
from .gltf import write_gltf
from .npz import write_mesh_npz, write_model_npz
from .obj import write_obj

ENDINGS = (".obj", ".glb", ".npz")


def export_model(path: Path, model: MorphableModel) -> None:
    """Mean mesh (.obj), model with morph targets (.glb), or arrays for the `npz` importer (.npz).

    Raises UsageError for another ending, OutputError where the file cannot be written.
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
    """Fitted frames: an animation (.glb), all meshes (.npz), or the mesh of one frame (.obj).

    f_shape: (n, s); f_exp: (n, e); pose: (n, 6), which only .glb holds; NaN where a frame was not
    fitted.
    Raises UsageError for another ending, several frames as OBJ, or where no frame is fitted;
    OutputError where the file cannot be written.
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
