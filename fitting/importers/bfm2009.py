"""Reads the Basel Face Model 2009 (Paysan et al.): ``01_MorphableModel.mat``, identity only."""

from __future__ import annotations

from pathlib import Path

from ..array_files import numbers, required_shape
from ..mat_arrays import open_mat
from .raw_model import RawModel, as_mean, as_modes, as_triangles, no_expressions


def read_bfm2009(path: Path, identity_modes: int) -> RawModel:
    """The mean and the first modes of the model; its unit is the micrometre.

    `shapeEV` holds standard deviations, as the model's own `coef2object.m` uses it.
    Raises DataError where an array is missing or does not fit.
    """
    with open_mat(path) as file:
        required_shape(file, "shapePC", what="unit eigenvectors, (3n, 199)")
        mean = as_mean(path, numbers(file, "shapeMU", what="mean shape, (3n, 1)"))
        deviations = numbers(file, "shapeEV", what="standard deviations").reshape(-1)
        components = numbers(file, "shapePC", what="unit eigenvectors, (3n, 199)")
        tl = numbers(file, "tl", what="triangles, from 1")
    return RawModel(
        source=path,
        name="bfm2009",
        mean=mean,
        identity=as_modes(path, components, deviations, len(mean), identity_modes),
        expression=no_expressions(len(mean)),
        expression_names=(),
        triangles=as_triangles(path, tl, len(mean), first=1),
        unit="um",
    )
