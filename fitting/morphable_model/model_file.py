"""A morphable model's file: `load_model`, the format `model.h5`, and the model's digest.

`model.h5` is HDF5: versioned, whole or absent, with a checksum over its content. Datasets: `mean`,
`identity`, `expression`, `expression_names`, `triangles`, `mirror`, `parts`, `part_names`, `uv` (if
any), `jaw_candidates/{vertices, weights}`, and groups `masks`, `landmarks`, `curves`, of which the
last two hold `vertices` and `weights` a name, and `noise` with `bias`, `covariance` and, where it
is known by yaw, `yaw_limits`, `yaw_bias`, `yaw_covariance` a name. Shapes as in MorphableModel and
LandmarkNoise.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...whole_files import write_whole
from ..array_files import Hdf5File, numbers, open_hdf5, required_shape, text
from .landmark_noise import BY_YAW, arrays_by_detector, noise_arrays, noise_of_arrays
from .morphable_model import (
    ASSET,
    ASSET_FORMAT,
    ASSET_VERSION,
    HDF5_SUFFIXES,
    MorphableModel,
    SurfacePoints,
    check_model,
)

FORMAT = "glee-morphable-model"
# Version 2 may hold noise by yaw.
VERSION = 2


@lru_cache(maxsize=4)
def load_model(path: Path | None = None) -> MorphableModel:
    """Read a morphable model; without a path the embedded one.

    Parameters
    ----------
    path : a ``model.h5`` of ``glee model import``, or an ``.npz`` as
        ``tools/build_morphable_model.py`` writes it

    Returns
    -------
    MorphableModel
        kept in memory for the next call

    Raises
    ------
    DataError
        the file is missing, is no such file, or is of another version
    """
    source = ASSET if path is None else Path(path)
    if source.suffix.lower() in HDF5_SUFFIXES:
        return read_model(source)
    try:
        with np.load(source, allow_pickle=False) as archive:
            return _of_asset(dict(archive))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{source}: cannot be read as a glee morphable model ({error}); "
            "reinstall glee or give the path of another model"
        ) from None


def read_model(path: Path) -> MorphableModel:
    """Read a model that `write_model` wrote.

    Parameters
    ----------
    path : a `model.h5`

    Returns
    -------
    MorphableModel

    Raises
    ------
    DataError
        the file is missing, is no such file, of a newer version, damaged, or its arrays do not fit
        together
    """
    with open_hdf5(Path(path)) as file:
        _check_kind(file)
        arrays: dict[str, NDArray[Any]] = {}
        for name in _names(file):
            is_text = name in ("expression_names", "part_names")
            arrays[name] = np.array(text(file, name)) if is_text else _numbers(file, name)
        name, checksum = str(file.attribute("name")), str(file.attribute("checksum"))
    if _checksum(arrays) != checksum:
        raise DataError(f"{path}: its content does not match its checksum; import the model again")
    model = _assembled(name, arrays)
    check_model(model, str(path))
    return model


def write_model(path: Path, model: MorphableModel) -> None:
    """Write a model as `model.h5`; the same model gives the same bytes.

    Parameters
    ----------
    path : the file
    model : the morphable model

    Raises
    ------
    OutputError
        the file cannot be written
    """
    arrays = _arrays(model)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=False) as file:
        for name, array in sorted(arrays.items()):
            if array.dtype.kind == "U":
                words = [str(word) for word in array.tolist()]
                file.create_dataset(name, data=words, dtype=h5py.string_dtype(), track_times=False)
            else:
                file.create_dataset(name, data=array, track_times=False)
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["name"] = model.name
        file.attrs["checksum"] = _checksum(arrays)
    write_whole(Path(path), buffer.getvalue())


@lru_cache(maxsize=4)
def model_digest(model: MorphableModel) -> str:
    """Digest what a fit depends on: mean, bases, names, landmarks.

    f_exp of one model means nothing to another.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    str
        SHA-256, in hexadecimal
    """
    total = hashlib.sha256("\n".join(model.expression_names).encode())
    for array in (model.mean, model.identity, model.expression, model.triangles):
        total.update(np.ascontiguousarray(array).tobytes())
    for name, points in sorted({**model.landmarks, **model.curves}.items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(points.vertices).tobytes())
        total.update(np.ascontiguousarray(points.weights).tobytes())
    return total.hexdigest()


@lru_cache(maxsize=1)
def mean_landmarks() -> NDArray[np.float64]:
    """The 68 anatomical landmarks of the embedded model's mean head.

    Returns
    -------
    (68, 3) float64
        decimetres, model coordinates (y up); read-only
    """
    model = load_model()
    points = model.landmarks["anatomical"].on(model.mean)
    points.setflags(write=False)
    return points


def _of_asset(arrays: dict[str, NDArray[np.generic]]) -> MorphableModel:
    """A model of the arrays of an ``.npz``, whose bases are whole numbers of a step a mode."""
    format_name, version = str(arrays["format"]), int(np.asarray(arrays["version"]).item())
    if format_name != ASSET_FORMAT or version != ASSET_VERSION:
        raise ValueError(f"format {format_name} version {version}, expected {ASSET_VERSION}")

    def basis(name: str) -> NDArray[np.float32]:
        steps = np.asarray(arrays[f"{name}_step"], np.float32)[:, None, None]
        return np.asarray(arrays[name]).astype(np.float32) * steps

    def points(name: str) -> SurfacePoints:
        vertices = np.asarray(arrays[f"{name}/vertices"]).astype(np.int32)
        return SurfacePoints(vertices, np.asarray(arrays[f"{name}/weights"]).astype(np.float32))

    def group(prefix: str) -> dict[str, SurfacePoints]:
        ending = "/vertices"
        keys = (key for key in arrays if key.startswith(prefix) and key.endswith(ending))
        return {key[len(prefix) : -len(ending)]: points(key[: -len(ending)]) for key in keys}

    masks = {key[6:]: np.asarray(arrays[key]) for key in arrays if key.startswith("masks/")}
    return MorphableModel(
        name=str(arrays["name"]),
        mean=np.asarray(arrays["mean"], np.float32),
        identity=basis("identity"),
        expression=basis("expression"),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        triangles=np.asarray(arrays["triangles"]).astype(np.int32),
        mirror=np.asarray(arrays["mirror"]).astype(np.int32),
        parts=np.asarray(arrays["parts"], np.uint8),
        part_names=tuple(str(name) for name in arrays["part_names"]),
        uv=np.asarray(arrays["uv"]).astype(np.float32),
        masks={name: mask.astype(np.float32) / 255.0 for name, mask in masks.items()},
        landmarks=group("landmarks/"),
        jaw_candidates=points("jaw_candidates"),
        curves=group("curves/"),
        noise={key: noise_of_arrays(own) for key, own in arrays_by_detector(arrays).items()},
    )


def _numbers(file: Hdf5File, name: str) -> NDArray[Any]:
    return numbers(file, name, what="part of a glee model")


def _check_kind(file: Hdf5File) -> None:
    if file.attribute("format") != FORMAT:
        raise DataError(
            f"{file.path}: is no glee model (attribute 'format' is "
            f"{file.attribute('format')!r}); make one with 'glee model import'"
        )
    version = file.attribute("version")
    if not isinstance(version, (int, np.integer)) or version > VERSION:
        raise DataError(
            f"{file.path}: model format version {version}, this glee reads up to {VERSION}; "
            "update glee or import the model again"
        )


def _names(file: Hdf5File) -> list[str]:
    """The paths of the file's datasets; raises DataError where a needed one is missing."""
    names = ["mean", "identity", "expression", "expression_names", "triangles", "mirror"]
    names += ["parts", "part_names", "jaw_candidates/vertices", "jaw_candidates/weights"]
    names += ["uv"] if file.shape("uv") is not None else []
    names += [f"masks/{mask}" for mask in file.members("masks")]
    for group in ("landmarks", "curves"):
        for member in file.members(group):
            names += [f"{group}/{member}/vertices", f"{group}/{member}/weights"]
    for member in file.members("noise"):
        names += [f"noise/{member}/bias", f"noise/{member}/covariance"]
        if file.shape(f"noise/{member}/yaw_limits") is not None:
            names += [f"noise/{member}/{array}" for array in BY_YAW]
    for name in names:
        required_shape(file, name, what="part of a glee model")
    return names


def _arrays(model: MorphableModel) -> dict[str, NDArray[Any]]:
    """All arrays of a model by their path in the file."""
    arrays: dict[str, NDArray[Any]] = {
        "mean": model.mean.astype(np.float32),
        "identity": model.identity.astype(np.float32),
        "expression": model.expression.astype(np.float32),
        "expression_names": np.array(model.expression_names, np.str_),
        "triangles": model.triangles.astype(np.int32),
        "mirror": model.mirror.astype(np.int32),
        "parts": model.parts.astype(np.uint8),
        "part_names": np.array(model.part_names, np.str_),
    }
    if model.uv is not None:
        arrays["uv"] = model.uv.astype(np.float32)
    arrays |= {f"masks/{name}": mask.astype(np.float32) for name, mask in model.masks.items()}
    points = {"jaw_candidates": model.jaw_candidates}
    points |= {f"landmarks/{name}": value for name, value in model.landmarks.items()}
    points |= {f"curves/{name}": value for name, value in model.curves.items()}
    for name, value in points.items():
        arrays[f"{name}/vertices"] = value.vertices.astype(np.int32)
        arrays[f"{name}/weights"] = value.weights.astype(np.float32)
    for name, noise in model.noise.items():
        arrays |= {f"noise/{name}/{key}": array for key, array in noise_arrays(noise).items()}
    return arrays


def _checksum(arrays: dict[str, NDArray[Any]]) -> str:
    """SHA-256 over the names, types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        if array.dtype.kind == "U":
            content = "\0".join(array.tolist()).encode()
            digest.update(f"{name} text {array.shape}\n".encode())
        else:
            content = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()
            digest.update(f"{name} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _assembled(name: str, arrays: dict[str, NDArray[Any]]) -> MorphableModel:
    def points(prefix: str) -> SurfacePoints:
        return SurfacePoints(arrays[f"{prefix}/vertices"], arrays[f"{prefix}/weights"])

    def group(prefix: str) -> dict[str, SurfacePoints]:
        keys = (key.split("/") for key in arrays if key.startswith(f"{prefix}/"))
        return {member: points(f"{prefix}/{member}") for _, member, *_ in keys}

    return MorphableModel(
        name=name,
        mean=arrays["mean"],
        identity=arrays["identity"],
        expression=arrays["expression"],
        expression_names=tuple(arrays["expression_names"].tolist()),
        triangles=arrays["triangles"],
        mirror=arrays["mirror"],
        parts=arrays["parts"],
        part_names=tuple(arrays["part_names"].tolist()),
        landmarks=group("landmarks"),
        jaw_candidates=points("jaw_candidates"),
        curves=group("curves"),
        uv=arrays.get("uv"),
        masks={key[6:]: array for key, array in arrays.items() if key.startswith("masks/")},
        noise={key: noise_of_arrays(own) for key, own in arrays_by_detector(arrays).items()},
    )
