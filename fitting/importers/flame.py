"""Reads FLAME (Li et al. 2017; releases 2020 and 2023) from an .npz, never from its pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from ..array_files import numbers, open_npz, required_shape
from .raw_model import RawModel, as_mean, as_triangles

# The first 300 shape directions are identity, the rest expression (FLAME 2020 and 2023).
IDENTITY_DIRECTIONS = 300


def read_flame(path: Path, identity_modes: int) -> RawModel:
    """Read template, shape and expression directions of FLAME; its unit is the metre.

    Its directions are already one standard deviation each. The expression basis is FLAME's own,
    named ``flame-expression-000`` and so on; its jaw and eye joints are not linear and left out.

    Parameters
    ----------
    path : the ``.npz``
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    RawModel

    Raises
    ------
    DataError
        the file is a pickle, or an array is missing or does not fit
    """
    with open_npz(path) as file:
        shape = required_shape(file, "shapedirs", what="shape directions, (n, 3, 400)")
        mean = as_mean(path, numbers(file, "v_template", what="template, (n, 3)"))
        if len(shape) != 3 or shape[:2] != mean.shape or shape[2] <= IDENTITY_DIRECTIONS:
            raise DataError(
                f"{path}: 'shapedirs' has shape {shape}; {len(mean)} vertices ask for "
                f"({len(mean)}, 3, more than {IDENTITY_DIRECTIONS}), identity then expression"
            )
        directions = numbers(file, "shapedirs", what="shape directions")
        faces = numbers(file, "f", what="triangles")
    bases = np.ascontiguousarray(directions.transpose(2, 0, 1), np.float32)
    expression = bases[IDENTITY_DIRECTIONS:]
    return RawModel(
        source=path,
        name=f"flame-{path.stem}",
        mean=mean,
        identity=bases[:IDENTITY_DIRECTIONS][:identity_modes],
        expression=expression,
        expression_names=tuple(f"flame-expression-{i:03d}" for i in range(len(expression))),
        triangles=as_triangles(path, faces, len(mean)),
        unit="m",
    )
