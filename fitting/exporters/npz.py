"""Writes models and meshes as .npz files; a model's has the keys of the importer `generic_npz`."""

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
from .obj import check_mesh


def write_model_npz(path: Path, model: MorphableModel, landmark_set: str = "anatomical") -> None:
    """Write a model with one of its landmark sets. Raises UsageError for an unknown set."""
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
    """Write one mesh (n, 3) or a sequence (frames, n, 3), decimetres, as `mesh`, `triangles`.

    Raises UsageError where the shapes do not fit; frames that were not fitted may be NaN.
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
    """An ``.npz`` whose bytes depend on the arrays alone: no time stamps."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()
