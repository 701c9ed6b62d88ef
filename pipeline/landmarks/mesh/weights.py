"""The weights file of the `mesh` detector: written by the converter, checked when it is read."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....errors import WeightsError

WEIGHTS_PATH = Path(__file__).parent / "mesh_weights.npz"
FORMAT = 2
REMEDY = "install glee again, or build it with tools/convert_mesh_weights.py"
VISIBILITY_PATH = Path(__file__).parent / "visibility_weights.npz"
VISIBILITY_REMEDY = "install glee again, or build it with tools/train_visibility.py"


def write_weights(
    path: Path, parameters: Mapping[str, npt.NDArray[np.float16]], *, source: str
) -> None:
    """Write all parameters, float16 as in the models they come from, and where that was."""
    arrays = {name: parameters[name] for name in sorted(parameters)}
    np.savez_compressed(
        path, allow_pickle=False, format=np.int64(FORMAT), source=np.array(source), **arrays
    )


def read_weights(
    path: Path = WEIGHTS_PATH, remedy: str = REMEDY
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


class Parameters:
    """A network's parameters, taken one after the other, each of a shape that is stated.

    parameters: those of the file, of which the network's start with `prefix` and a dot.
    remedy: what to do where they do not fit.
    """

    def __init__(
        self,
        parameters: Mapping[str, npt.NDArray[np.float16]],
        prefix: str,
        remedy: str = REMEDY,
    ) -> None:
        self._prefix, self._remedy = prefix, remedy
        self._left = {
            name.removeprefix(f"{prefix}."): value
            for name, value in parameters.items()
            if name.startswith(f"{prefix}.")
        }

    def take(self, name: str, *shape: int) -> npt.NDArray[np.float32]:
        """The parameter of that name. Raises WeightsError where it is missing or does not fit."""
        if name not in self._left:
            raise self._wrong(name, "missing")
        value = self._left.pop(name)
        if value.shape != shape or value.dtype.kind != "f":
            raise self._wrong(name, f"{value.shape} {value.dtype}, {shape} is needed")
        return value.astype(np.float32)

    def finish(self) -> None:
        """Raises WeightsError where there is one that was not taken."""
        for name in sorted(self._left):
            raise self._wrong(name, "unknown")

    def _wrong(self, name: str, what: str) -> WeightsError:
        return WeightsError(f"mesh weights: {self._prefix}.{name} is {what}; {self._remedy}")
