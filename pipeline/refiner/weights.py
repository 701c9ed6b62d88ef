"""The refiner's weights file: written by `glee train-landmarks`, checked when it is read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import WeightsError
from ...fitting.morphable_model.landmark_noise import (
    LandmarkNoise,
    arrays_by_detector,
    expected_shapes,
    noise_arrays,
    noise_of_arrays,
)
from ...whole_files import write_whole
from ..landmarks.refiner.network import Refiner

WEIGHTS_PATH = Path(__file__).parent / "refiner_weights.npz"
FORMAT = 1
_REMEDY = "install glee again, or train it with `glee train-landmarks`"


@dataclass(frozen=True, eq=False)
class RefinerWeights:
    """state: the network's parameters by name, float32. noise: for each backend how its refined
    landmarks err on renders. source: what it was trained with. version: a digest of all.
    """

    state: Mapping[str, npt.NDArray[np.float32]]
    noise: Mapping[str, LandmarkNoise]
    source: Mapping[str, Any]
    version: str


def write_weights(
    path: Path,
    network: Refiner,
    noise: Mapping[str, LandmarkNoise],
    source: Mapping[str, Any],
) -> None:
    """Write all of a network: float16, but for the norms' statistics, whose range is wide.

    Raises OutputError.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in sorted(_own(network).items()):
        wide = "running_" in name
        arrays[f"network/{name}"] = tensor.numpy().astype(np.float32 if wide else np.float16)
    for backend, errors in sorted(noise.items()):
        arrays |= {f"noise/{backend}/{key}": array for key, array in noise_arrays(errors).items()}
    buffer = io.BytesIO()
    stated = np.array(json.dumps(dict(source), sort_keys=True))
    np.savez_compressed(
        buffer, allow_pickle=False, format=np.int64(FORMAT), source=stated, **arrays
    )
    write_whole(path, buffer.getvalue())


def read_weights(path: Path = WEIGHTS_PATH) -> RefinerWeights:
    """Raises WeightsError where the file is missing, cut, of another format or of other shapes."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        version = int(arrays.pop("format"))
        source = json.loads(str(arrays.pop("source")))
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing; {_REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}); {_REMEDY}") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path}: cannot be read ({error}); {_REMEDY}") from None
    if version != FORMAT:
        raise WeightsError(f"{path}: format {version}, this glee reads {FORMAT}; {_REMEDY}")
    state = {name[8:]: array for name, array in arrays.items() if name.startswith("network/")}
    _check(path, state)
    return RefinerWeights(
        {name: array.astype(np.float32) for name, array in state.items()},
        _noise(path, arrays),
        source,
        _digest(arrays),
    )


def network_of(weights: RefinerWeights) -> Refiner:
    """The network, set to evaluation."""
    network = Refiner()
    state = {name: torch.from_numpy(array) for name, array in weights.state.items()}
    network.load_state_dict(state, strict=False)  # all but counters, which _check has seen to
    network.eval().requires_grad_(False)
    return network


def _own(network: Refiner) -> dict[str, torch.Tensor]:
    """The network's parameters and statistics that are kept."""
    state: dict[str, torch.Tensor] = network.state_dict()
    return {k: v.detach().float() for k, v in state.items() if not k.endswith("_tracked")}


def _check(path: Path, state: Mapping[str, npt.NDArray[Any]]) -> None:
    own = _own(Refiner())
    for name in sorted(own.keys() ^ state.keys()):
        what = "missing" if name in own else "unknown"
        raise WeightsError(f"{path}: {name} is {what}; {_REMEDY}")
    for name, array in state.items():
        shape = tuple(own[name].shape)
        if array.shape != shape or array.dtype.kind != "f":
            raise WeightsError(
                f"{path}: {name} is {array.shape} {array.dtype}, {shape} is needed; {_REMEDY}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: {name} is not finite; {_REMEDY}")


def _noise(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, LandmarkNoise]:
    found: dict[str, LandmarkNoise] = {}
    for backend, own in sorted(arrays_by_detector(arrays).items()):
        if {name: array.shape for name, array in own.items()} != expected_shapes(own):
            raise WeightsError(f"{path}: noise of {backend} is incomplete; {_REMEDY}")
        found[backend] = noise_of_arrays(own)
    return found


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:8]
