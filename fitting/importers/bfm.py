"""Reads the Basel Face Models: 2017 and 2019 (Gerig et al. 2018) and 2009 (Paysan et al. 2009).

Those of 2017 and 2019 are HDF5 with an expression basis; that of 2009 is a MATLAB file
``01_MorphableModel.mat``, identity only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..array_files import Hdf5File, numbers, open_hdf5, required_shape
from ..mat_files import open_mat
from .raw_model import RawModel, as_deviations, as_mean, as_modes, as_triangles, no_expressions


def read_bfm2017(path: Path, identity_modes: int) -> RawModel:
    """Read mean, modes and expressions of BFM 2017 or 2019; its unit is the millimetre.

    The expression basis is the model's own principal components, one standard deviation each,
    named ``bfm-expression-000`` and so on. The mean is that of shape plus that of expression.

    Parameters
    ----------
    path : ``model2017-1_face12_nomouth.h5`` or another of the release
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    RawModel

    Raises
    ------
    DataError
        an array is missing or does not fit
    """
    with open_hdf5(path) as file:
        mean, identity = _statistics(file, "shape", identity_modes)
        cells = numbers(file, "shape/representer/cells", what="triangles")
        expression = no_expressions(len(mean))
        if file.shape("expression/model/pcaBasis") is not None:
            offset, expression = _statistics(file, "expression", None)
            if offset.shape != mean.shape:
                raise DataError(f"{path}: shape and expression have different numbers of vertices")
            mean = mean + offset
    return RawModel(
        source=path,
        name=f"bfm-{path.stem}",
        mean=mean,
        identity=identity,
        expression=expression,
        expression_names=tuple(f"bfm-expression-{i:03d}" for i in range(len(expression))),
        triangles=as_triangles(path, cells, len(mean)),
        unit="mm",
    )


def _statistics(
    file: Hdf5File, kind: str, modes: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Mean (n, 3) and modes (k, n, 3) of one of the file's statistical models."""
    group = f"{kind}/model"
    required_shape(file, f"{group}/pcaBasis", what="unit eigenvectors, (3n, k)")
    mean = as_mean(file.path, numbers(file, f"{group}/mean", what="mean, (3n,)"))
    variances = numbers(file, f"{group}/pcaVariance", what="variance of each component")
    deviations = as_deviations(file.path, variances)
    basis = numbers(file, f"{group}/pcaBasis", what="unit eigenvectors, (3n, k)")
    return mean, as_modes(file.path, basis, deviations, len(mean), modes)


def read_bfm2009(path: Path, identity_modes: int) -> RawModel:
    """Read the mean and the first modes of BFM 2009; its unit is the micrometre.

    `shapeEV` holds standard deviations, as the model's own `coef2object.m` uses it.

    Parameters
    ----------
    path : ``01_MorphableModel.mat``
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
