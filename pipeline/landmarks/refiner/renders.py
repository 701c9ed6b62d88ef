"""Training renders in blocks: pictures of random faces, their true landmarks and detectors' own.

Each block depends on the seed, its number and the backends alone, and is a file that is whole or
absent: a run that was killed goes on with the next block.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ....errors import DataError, UsageError
from ....fitting.morphable_model.landmark_scheme import nme
from ....fitting.morphable_model.model_file import load_model
from ....fitting.morphable_model.morphable_model import MorphableModel
from ....fitting.render.renderer import render
from ....fitting.solver.problem import landmark_places
from ....whole_files import write_whole
from ...refiner.faces import random_person, random_picture, random_shape, random_view
from ..backends import load_detector
from ..detector import Detector
from .crops import crop_of, crop_transform, to_crop

FORMAT = 1
LANDMARK_SET = "anatomical"
PER_PERSON, PEOPLE = 20, 12
BLOCK = PER_PERSON * PEOPLE
# The stored picture: the refiner's crop, a little finer and with a margin around.
STORED, STORED_SCALE = 160, 125
QUALITY = 95
# Mean error of a detector's face, in inter-ocular distances, beyond which it is another's.
GROSS = 0.2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Renders:
    """n pictures.

    jpegs: n encoded pictures of STORED x STORED pixels. truth: (n, 68, 2) float32, their pixels.
    first: for each backend (n, 68, 2) float32, NaN where it found no face.
    """

    jpegs: tuple[bytes, ...]
    truth: Floats
    first: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.jpegs)


class RenderFolder:
    """The block files of one seed and some backends; a block that is missing is drawn when asked.

    Raises UsageError where the folder holds renders of other seeds or backends, OutputError.
    """

    def __init__(self, folder: Path, seed: int, backends: Sequence[str]) -> None:
        self._folder, self._seed, self._backends = folder, seed, tuple(backends)
        stated = {"format": FORMAT, "seed": seed, "backends": list(backends)}
        _state(folder / "renders.json", stated)

    def block(self, block: int) -> Renders:
        """The renders of a block. Raises DataError where its file is damaged."""
        path = self._folder / f"{block:05d}.npz"
        if not path.exists():
            detectors = {name: load_detector(name) for name in self._backends}
            write_whole(path, _encoded(render_block(self._seed, block, detectors)))
        return _read(path)


def _state(path: Path, stated: dict[str, object]) -> None:
    """Say what the folder's renders are of; raises UsageError where they are of something else."""
    text = json.dumps(stated)
    if not path.exists():
        write_whole(path, text.encode())
    elif path.read_text() != text:
        raise UsageError(
            f"{path}: says {path.read_text()!r}, not {text!r}; give another --renders-folder"
        )


def render_block(seed: int, block: int, detectors: dict[str, Detector]) -> Renders:
    """BLOCK renders of PEOPLE people."""
    model = load_model()
    pictures: list[bytes] = []
    truths: list[npt.NDArray[np.floating]] = []
    first: dict[str, list[npt.NDArray[np.floating]]] = {name: [] for name in detectors}
    for image, truth in _faces(model, seed, block):
        transform = _stored_transform(truth)
        stored = crop_of(image, transform, STORED)
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        pictures.append(cv2.imencode(".jpg", stored[..., ::-1], options)[1].tobytes())
        truths.append(to_crop(truth, transform))
        for name, detector in detectors.items():
            first[name].append(to_crop(_first(detector, image, truth), transform))
    stacked = {name: np.stack(rows).astype(np.float32) for name, rows in first.items()}
    return Renders(tuple(pictures), np.stack(truths).astype(np.float32), stacked)


def _faces(
    model: MorphableModel, seed: int, block: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]]:
    """Pictures with their true landmarks (68, 2), pixels."""
    for person in range(PEOPLE):
        rng = np.random.default_rng([seed, 3, block, person])
        skin = random_person(rng)
        for _ in range(PER_PERSON):
            look = random_picture(skin, rng)
            mesh = random_shape(model, rng)
            camera, pose = random_view(rng)
            image = render(model, mesh, pose, camera, look, rng)
            places = landmark_places(model, mesh, pose, LANDMARK_SET)
            yield image, camera.project(places, pose)


def _stored_transform(truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    transform = crop_transform(truth, STORED_SCALE)
    transform[:, 2] += (STORED - STORED_SCALE) / 2.0
    return transform


def _first(
    detector: Detector, image: npt.NDArray[np.uint8], truth: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """What a detector finds that is shown the face, (68, 2) pixels; NaN where it is far off."""
    points, _ = detector.landmarks(image, detector.box_of(truth.astype(np.float32)))
    if nme(points[None], truth[None]) < GROSS:
        return points.astype(np.float64)
    return np.full((68, 2), np.nan)


def _encoded(renders: Renders) -> bytes:
    buffer = io.BytesIO()
    pool = np.frombuffer(b"".join(renders.jpegs), np.uint8)
    offset = np.cumsum([0, *map(len, renders.jpegs)])
    first = {f"first/{name}": points for name, points in renders.first.items()}
    np.savez(buffer, allow_pickle=False, pool=pool, offset=offset, truth=renders.truth, **first)
    return buffer.getvalue()


def _read(path: Path) -> Renders:
    try:
        with np.load(path, allow_pickle=False) as file:
            pool, offset = file["pool"].tobytes(), file["offset"]
            jpegs = tuple(pool[a:b] for a, b in zip(offset[:-1], offset[1:], strict=True))
            names = [name for name in file.files if name.startswith("first/")]
            return Renders(jpegs, file["truth"], {name[6:]: file[name] for name in names})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); remove it to make it again") from None


def joined(parts: Sequence[Renders]) -> Renders:
    """Several blocks as one."""
    first = {name: np.concatenate([one.first[name] for one in parts]) for name in parts[0].first}
    jpegs = tuple(jpeg for one in parts for jpeg in one.jpegs)
    return Renders(jpegs, np.concatenate([one.truth for one in parts]), first)
