"""The refiner that annotated photographs made, and its weights file.

It looks at the face a second time, as it is and mirrored, and moves each landmark of the mesh by a
linear function of what the network sees: see `second_look`. Offsets are in the face's frame, in
distances of its outer eye corners. Where the two looks disagree, it is less sure.

The file is written by `glee train-landmarks --photos` and read without unpickling.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import DataError, UsageError, WeightsError
from ....fitting.array_files import open_npz
from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import MIRROR
from ....whole_files import write_whole
from ...images.crops import Image
from ..detector import IBUG, REFINED, Box
from ..mesh.architecture import CROP_SIDE
from ..mesh.backend import box_around
from ..mesh.detection import crop_of, crop_transform
from ..mesh.points import COUNT, LandmarkDefinition
from .second_look import NEAR, WHOLE, Seen, look
from .weights import digest_of

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

BACKEND = "mesh"  # whose landmarks it refines
KIND, FORMAT = "glee refiner of photographs", 1
_LARGEST = 1 << 20  # numbers of an array
_REMEDY = "train it again with `glee train-landmarks --photos DIR -o FILE`"


@dataclass(frozen=True, eq=False)
class Head:
    """What annotated photographs taught.

    Attributes
    ----------
    points : (68, 478) float32, weights of the mesh's points in each landmark
    offsets : (68, 2) float32, what is added to them, in the face's frame
    whole : (68, 2, WHOLE) float32, from what is seen in the face to a landmark's shift
    near : (68, 2, NEAR) float32, from what is seen around the landmark
    shift : (68, 2) float32, the same for all faces
    covariance : (68, 2, 2) float32, of a landmark's errors, in the face's frame
    doubt : (68, 2) float32, the covariance's factor where the two looks agree, and how much it
        grows with the square of their difference
    """

    points: Float32
    offsets: Float32
    whole: Float32
    near: Float32
    shift: Float32
    covariance: Float32
    doubt: Float32

    @property
    def definition(self) -> LandmarkDefinition:
        """Where the landmarks lie on the mesh before they are moved."""
        return LandmarkDefinition(self.points.astype(float), self.offsets.astype(float))

    def place(self, seen: Seen) -> Floats:
        """Landmarks (n, 68, 2), crop pixels."""
        shift = np.einsum("nf,kaf->nka", seen.whole, self.whole)
        shift = shift + np.einsum("nkf,kaf->nka", seen.near, self.near) + self.shift
        first = seen.landmarks.astype(float)
        return np.asarray(first + shift @ frame_axes(first))


SHAPES: dict[str, tuple[int, ...]] = {
    "points": (LANDMARKS, COUNT),
    "offsets": (LANDMARKS, 2),
    "whole": (LANDMARKS, 2, WHOLE),
    "near": (LANDMARKS, 2, NEAR),
    "shift": (LANDMARKS, 2),
    "covariance": (LANDMARKS, 2, 2),
    "doubt": (LANDMARKS, 2),
}


def frame_axes(landmarks: npt.NDArray[np.floating]) -> Floats:
    """The face's frame of landmarks (..., 68, 2), pixels: (..., 2, 2), its x and y axis as rows."""
    along = np.asarray(landmarks[..., 45, :] - landmarks[..., 36, :], float)
    return np.stack([along, np.stack([-along[..., 1], along[..., 0]], -1)], -2)


def both_looks(image: Image, box: Box) -> tuple[Image, Floats]:
    """The crop of a face as it is and mirrored (2, 256, 256, 3), and the map (2, 3) to it."""
    transform = crop_transform(box)
    crop = crop_of(image, transform)
    return np.ascontiguousarray(np.stack([crop, crop[:, ::-1]])), transform


def mirrored_back(landmarks: npt.NDArray[np.floating]) -> Floats:
    """Landmarks (..., 68, 2) of the mirrored crop in the crop as it is, pixels."""
    return np.asarray(landmarks[..., MIRROR, :] * (-1.0, 1.0) + (CROP_SIDE - 1.0, 0.0))


def covariance_of(head: Head, apart: Floats) -> Floats:
    """Covariances (..., 68, 2, 2), in the face's frame.

    apart: (..., 68, 2), half the difference of both looks, in the face's frame.
    """
    factor = head.doubt[:, 0] + head.doubt[:, 1] * disagreement(apart, head.covariance)
    return np.asarray(head.covariance * factor[..., None, None], float)


def disagreement(apart: Floats, covariance: npt.NDArray[np.floating]) -> Floats:
    """Squares of vectors (..., 68, 2) by covariances (68, 2, 2): 1 on average where they fit."""
    inverse = np.linalg.inv(covariance.astype(float))
    return np.asarray(np.einsum("...ka,kab,...kb->...k", apart, inverse, apart) / 2)


class PhotographRefiner:
    """A head, ready to run. It has the methods of `refine.LandmarkRefiner`."""

    def __init__(self, head: Head, version: str = "unwritten") -> None:
        """version: what it is told apart by."""
        self.head, self.version = head, version
        self.ending = f"{REFINED}:{version}"  # of the name of a backend that is refined
        self._definition = head.definition

    def refine(
        self, images: Sequence[Image], landmarks: npt.NDArray[np.floating]
    ) -> tuple[Float32, Float32]:
        """Landmarks (n, 68, 2) and their covariances (n, 68, 2, 2), float32, source pixels.

        images: n of (h, w, 3) uint8 RGB. landmarks: (n, 68, 2), source pixels; they say where to
        look. Where they are not finite or coincide, the result is NaN.
        """
        points = np.full((len(images), LANDMARKS, 2), np.nan, np.float32)
        covariances = np.full((len(images), LANDMARKS, 2, 2), np.nan, np.float32)
        for number, (image, first) in enumerate(zip(images, landmarks, strict=True)):
            if np.isfinite(first).all() and np.ptp(first, axis=0).max() > 1.0:
                points[number], covariances[number] = self._refined(image, first)
        return points, covariances

    def _refined(self, image: Image, first: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
        crops, transform = both_looks(image, box_around(first))
        found = self.head.place(look(crops, self._definition))
        pair = np.stack([found[0], mirrored_back(found[1])])
        middle, half = pair.mean(0), (pair[0] - pair[1]) / 2
        axes = frame_axes(middle)
        apart = half @ np.linalg.inv(axes)
        covariance = axes.T @ covariance_of(self.head, apart) @ axes
        back = np.linalg.inv(transform[:, :2])
        return (middle - transform[:, 2]) @ back.T, back @ covariance @ back.T


def write_head(path: Path, head: Head, source: Mapping[str, Any]) -> str:
    """Write a weights file, whole or not at all, and tell its digest. Raises OutputError.

    source: what it was trained with; the file states the landmarks' definition and the digest too.
    """
    arrays = {field.name: getattr(head, field.name) for field in fields(head)}
    digest = digest_of(arrays)
    stated = {**source, "landmark_definition": IBUG, "backend": BACKEND, "digest": digest}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        kind=np.array(KIND),
        format=np.int64(FORMAT),
        source=np.array(json.dumps(stated, sort_keys=True)),
        **arrays,
    )
    write_whole(path, buffer.getvalue())
    return digest


def read_head(path: Path) -> tuple[Head, dict[str, Any]]:
    """The head of a weights file and what it states: see `write_head`.

    Raises WeightsError where the file is missing, cut, another one, or of other shapes.
    """
    arrays = _arrays(path)
    try:
        kind, version = str(arrays.pop("kind")), int(arrays.pop("format"))
        source = json.loads(str(arrays.pop("source")))
        digest = str(source["digest"])
    except (KeyError, TypeError, ValueError):
        if any(name.startswith("network/") for name in arrays):
            raise WeightsError(
                f"{path}: was trained on renders, and its points are the model's; --detector "
                f"{BACKEND}+refiner takes such, :FILE takes one of `train-landmarks --photos`"
            ) from None
        raise WeightsError(f"{path}: is no file of a refiner; {_REMEDY}") from None
    if kind != KIND or version != FORMAT:
        raise WeightsError(
            f"{path}: is {kind!r} of format {version}, this glee reads {KIND!r} of {FORMAT}; "
            f"{_REMEDY}"
        )
    _check(path, arrays)
    if digest != digest_of(arrays):
        raise WeightsError(f"{path}: its content is not what its digest says; {_REMEDY}")
    return Head(**arrays), source


def load_photograph_refiner(backend: str, path: Path) -> PhotographRefiner:
    """The refiner of a weights file, made once a process and kept while the file stays the same.

    Raises WeightsError, and UsageError where it is asked for another backend's landmarks.
    """
    if backend != BACKEND:
        raise UsageError(
            f"detector {backend}{REFINED}:{path}: refiners of photographs are for {BACKEND}; give "
            f"{BACKEND}{REFINED}:{path}"
        )
    try:
        found = path.stat()
    except OSError:
        return _load(path, 0, 0)
    return _load(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=2)
def _load(path: Path, changed: int, size: int) -> PhotographRefiner:
    head, source = read_head(path)
    return PhotographRefiner(head, str(source["digest"]))


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; {_REMEDY}")
    try:
        with open_npz(path) as file:
            for name in file.names():
                if math.prod(file.shape(name) or ()) > _LARGEST:
                    raise DataError(f"{path}: {name} is larger than any array of such a file")
            return {name: file.array(name) for name in file.names()}
    except DataError as error:
        raise WeightsError(f"{error}; {_REMEDY}") from None


def _check(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    for name in sorted(SHAPES.keys() ^ arrays.keys()):
        what = "missing" if name in SHAPES else "unknown"
        raise WeightsError(f"{path}: {name} is {what}; {_REMEDY}")
    for name, shape in SHAPES.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise WeightsError(
                f"{path}: {name} is {array.shape} {array.dtype}, {shape} float32 is needed; "
                f"{_REMEDY}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: {name} is not finite; {_REMEDY}")
