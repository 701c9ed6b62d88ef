"""Reads LSFM (Booth et al. 2016): identity only, MATLAB files as its MODELS.md describes them."""

from __future__ import annotations

from pathlib import Path

from ..array_files import numbers, required_shape
from ..mat_files import open_mat
from .raw_model import RawModel, as_deviations, as_mean, as_modes, as_triangles, no_expressions


def read_lsfm(path: Path, identity_modes: int) -> RawModel:
    """Read the mean and the first modes of LSFM, full (53215 vertices) or cropped (28431).

    Its documentation names no unit; it is found from the distance between the eyes.

    Parameters
    ----------
    path : the ``.mat``
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    RawModel

    Raises
    ------
    DataError
        an array is missing or does not fit
    """
    with open_mat(path) as file:
        required_shape(file, "components", what="unit eigenvectors, (3n, k)")
        mean = as_mean(path, numbers(file, "mean", what="mean shape, (3n,)"))
        variances = numbers(file, "eigenvalues", what="variance of each component")
        deviations = as_deviations(path, variances)
        components = numbers(file, "components", what="unit eigenvectors, (3n, k)")
        triangles = as_triangles(path, numbers(file, "trilist", what="triangles"), len(mean))
    identity = as_modes(path, components, deviations, len(mean), identity_modes)
    return RawModel(
        source=path,
        name=f"lsfm-{path.stem}",
        mean=mean,
        identity=identity,
        expression=no_expressions(len(mean)),
        expression_names=(),
        triangles=triangles,
        unit=None,
    )
