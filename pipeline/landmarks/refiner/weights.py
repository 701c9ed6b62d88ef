"""The refiner's weights file, and how refined landmarks err by it.

It is written by `glee train-landmarks` and checked when it is read. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import WeightsError
from ....fitting.morphable_model.landmark_noise import (
    LandmarkNoise,
    arrays_by_detector,
    expected_shapes,
    noise_of_arrays,
)
from ....fitting.morphable_model.landmark_scheme import COUNT
from ....fitting.morphable_model.morphable_model import MorphableModel
from ..detector import REFINED

WIDTHS = (16, 24, 48, 96)
FEATURES = 48
STRIDE = 4  # pixels of the crop a cell of the heat maps
# Bounds of the standard deviations, pixels of the crop, and of the Cholesky factor's corner.
LEAST_DEVIATION, LARGEST_DEVIATION, LARGEST_CORNER = 0.1, 20.0, 20.0
NORM_EPSILON = 1e-5  # of the norms: torch's own default
# Offsets are held to so many pixels by tanh.
LARGEST_OFFSET = 6.0
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
        digest_of(arrays),
    )


def state_shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the network's parameters and statistics by name, see `network.Refiner`."""
    one, two, three, four = WIDTHS
    shapes: dict[str, tuple[int, ...]] = {
        "heat.weight": (COUNT, FEATURES, 1, 1),
        "heat.bias": (COUNT,),
        "steepness": (COUNT,),
        "head": (COUNT, FEATURES, 5),
        "head_bias": (COUNT, 5),
    }
    for name, inputs in (("from_stem", two), ("from_middle", three), ("from_deep", four)):
        shapes |= {f"{name}.weight": (FEATURES, inputs, 1, 1), f"{name}.bias": (FEATURES,)}
    layers = [
        *(("stem.0.0", "stem.0.1", one, 3, 5), ("stem.1.0", "stem.1.1", two, one, 3)),
        ("middle.0.0", "middle.0.1", three, two, 3),
        ("deep.0.0", "deep.0.1", four, three, 3),
        *(("mix.0", "mix.1", FEATURES, 1, 3), ("mix.3", "mix.4", FEATURES, FEATURES, 1)),
    ]
    blocks = (("stem.2", two), ("middle.1", three), ("deep.1", four), ("deep.2", four))
    for name, width in blocks:
        layers.append((f"{name}.first.0", f"{name}.first.1", width, width, 3))
        layers.append((f"{name}.second", f"{name}.norm", width, width, 3))
    for convolution, norm, outputs, inputs, kernel in layers:
        shapes[f"{convolution}.weight"] = (outputs, inputs, kernel, kernel)
        for what in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{what}"] = (outputs,)
    return shapes


def _check(path: Path, state: Mapping[str, npt.NDArray[Any]]) -> None:
    shapes = state_shapes()
    for name in sorted(shapes.keys() ^ state.keys()):
        what = "missing" if name in shapes else "unknown"
        raise WeightsError(f"{path}: {name} is {what}; {_REMEDY}")
    for name, array in state.items():
        shape = shapes[name]
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


def digest_of(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Eight hexadecimal digits by which arrays are told apart: of their names and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:8]


def noise_of(detector: str, path: Path = WEIGHTS_PATH) -> LandmarkNoise | None:
    """The noise of a refined backend, named as in `mesh+refiner`; None where it was not measured.

    Raises WeightsError where the weights file cannot be read.
    """
    if not detector.endswith(REFINED):
        return None
    return read_weights(path).noise.get(detector.removesuffix(REFINED))


def with_refined(model: MorphableModel) -> MorphableModel:
    """A model that knows the refined backends as it knows the others: by their own names.

    Their landmark set is the anatomical one, whose points the refiner was trained for.
    Raises WeightsError where the weights file cannot be read.
    """
    noise = {f"{name}{REFINED}": errors for name, errors in read_weights().noise.items()}
    landmarks = dict.fromkeys(noise, model.landmarks["anatomical"])
    return replace(
        model, landmarks={**model.landmarks, **landmarks}, noise={**model.noise, **noise}
    )
