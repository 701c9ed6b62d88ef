"""Writes a mesh as Wavefront OBJ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...whole_files import write_whole


def write_obj(
    path: Path,
    mesh: NDArray[np.floating],
    triangles: NDArray[np.integer],
    uv: NDArray[np.floating] | None = None,
) -> None:
    """Write a mesh, its unit unchanged (decimetres in glee).

    mesh: (n, 3). triangles: (m, 3) from 0. uv: (n, 2) texture coordinates or None.
    Raises UsageError where the shapes do not fit or a value is not finite, OutputError where the
    file cannot be written.
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
    """Raise UsageError where a mesh cannot be written."""
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
