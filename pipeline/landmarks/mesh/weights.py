"""The weights file of the `mesh` detector: written by the converter, checked when it is read."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ....errors import WeightsError

WEIGHTS_PATH = Path(__file__).parent / "mesh_weights.npz"
FORMAT = 2
_REMEDY = "install glee again, or build it with tools/convert_mesh_weights.py"


def write_weights(
    path: Path, parameters: Mapping[str, npt.NDArray[np.float16]], *, source: str
) -> None:
    """Write all parameters, float16 as in the models they come from, and where that was."""
    arrays = {name: parameters[name] for name in sorted(parameters)}
    np.savez_compressed(
        path, allow_pickle=False, format=np.int64(FORMAT), source=np.array(source), **arrays
    )


def read_weights(
    path: Path = WEIGHTS_PATH, remedy: str = _REMEDY
) -> dict[str, npt.NDArray[np.float16]]:
    """All parameters by name; remedy: what to do where they cannot be had.

    Raises WeightsError where the file is missing, cut or of a newer format.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing; {remedy}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path}: cannot be read ({error}); {remedy}") from None
    version = int(arrays.pop("format", np.int64(0)))
    if version != FORMAT:
        raise WeightsError(f"{path}: format {version}, this glee reads {FORMAT}; {remedy}")
    arrays.pop("source", None)
    return arrays


def load_into(
    network: nn.Module,
    parameters: Mapping[str, npt.NDArray[np.float16]],
    prefix: str,
    remedy: str = _REMEDY,
) -> None:
    """Set a network's parameters from those whose names start with `prefix` and a dot.

    remedy: what to do where they do not fit.
    Raises WeightsError where one is missing, superfluous or of another shape.
    """
    own: dict[str, Tensor] = network.state_dict()
    given = {
        name.removeprefix(f"{prefix}."): value
        for name, value in parameters.items()
        if name.startswith(f"{prefix}.")
    }
    for name in sorted(own.keys() ^ given.keys()):
        what = "missing" if name in own else "unknown"
        raise WeightsError(f"mesh weights: {prefix}.{name} is {what}; {remedy}")
    for name, value in given.items():
        if value.shape != tuple(own[name].shape) or value.dtype.kind != "f":
            raise WeightsError(
                f"mesh weights: {prefix}.{name} is {value.shape} {value.dtype}, "
                f"{tuple(own[name].shape)} is needed; {remedy}"
            )
    network.load_state_dict(
        {name: torch.from_numpy(value.astype(np.float32)) for name, value in given.items()}
    )
