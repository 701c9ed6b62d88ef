"""Random faces rendered for training.

Training renders in blocks: pictures of random faces, their true landmarks and detectors' own.

Each block depends on the seed, its number and the backends alone, and is a file that is whole or
absent: a run that was killed goes on with the next block.

Random faces for training: wider in shape, expression, pose, light and sensor than life is.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from ....errors import DataError, UsageError
from ....fitting.calibration.random_faces import FACE_HEIGHT, random_expression
from ....fitting.camera import Camera, rotation_matrix, rotation_vector
from ....fitting.morphable_model.landmark_scheme import nme
from ....fitting.morphable_model.model_file import load_model
from ....fitting.morphable_model.morphable_model import MorphableModel
from ....fitting.render.appearance import Appearance, Light, random_appearance, random_light
from ....fitting.render.renderer import render
from ....fitting.solver.problem import landmark_places
from ....whole_files import write_whole
from ...datasets.action_units import weights
from ...synthesis.motion import EXPRESSIONS
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


PICTURE = 320  # side, pixels: the face is then about as large as in the crop, or a little larger
FOCAL = (1.1, 3.2)  # over the picture's side
IDENTITY_SPREAD, IDENTITY_LIMIT = 1.25, 3.0
YAW, PITCH, ROLL = np.radians([38.0, 20.0, 12.0])
FACE_SHARE = (0.45, 0.62)  # of the picture's height
# How expressions are drawn: a few movements, Action Units, or all blendshapes a little.
FEW, UNITS = 0.4, 0.35
LIDS = (("eyeBlink", 0.35), ("eyeWide", 0.2), ("eyeSquint", 0.25))
BROWS = (("browDown", 0.25), ("browOuterUp", 0.2), ("browInnerUp", 0.25))
LIPS = (
    *(("jawOpen", 0.2), ("mouthUpperUp", 0.15), ("mouthLowerDown", 0.15), ("mouthPress", 0.1)),
    *(("mouthRollUpper", 0.08), ("mouthRollLower", 0.08), ("mouthPucker", 0.1)),
    *(("mouthFunnel", 0.08), ("mouthSmile", 0.12), ("mouthFrown", 0.1), ("noseSneer", 0.12)),
)


def random_person(rng: np.random.Generator) -> Appearance:
    """What is painted on a person's skin: costly to draw, so that several pictures share it."""
    look = random_appearance(rng)
    return replace(
        look,
        brow_density=float(rng.uniform(0.3, 1.0)),
        brow_width=float(rng.uniform(0.026, 0.075)),
        wrinkles=float(rng.uniform(0.0, 1.0)),
        blotches=float(rng.uniform(0.2, 1.0)),
    )


def random_picture(person: Appearance, rng: np.random.Generator) -> Appearance:
    """The person in another light, before another background, through another lens."""
    light = random_light(rng)
    if rng.random() < 0.3:
        light = _hard(light, rng)
    return replace(
        person,
        lashes=float(rng.uniform(0.2, 1.0)),
        light=light,
        background=("plain", "soft", "clutter")[int(rng.integers(0, 3))],
        defocus=float(rng.uniform(0.2, 0.9)),
        noise=0.0,
        exposure=float(rng.uniform(0.75, 1.35)),
    )


def _hard(light: Light, rng: np.random.Generator) -> Light:
    """A strong lamp from anywhere before the head, and little light beside it."""
    side, height = np.radians(rng.uniform((-85.0, -30.0), (85.0, 75.0)))
    key = (
        float(np.sin(side) * np.cos(height)),
        float(np.sin(height)),
        float(np.cos(side) * np.cos(height)),
    )
    strength, dim = float(rng.uniform(0.8, 1.4)), float(rng.uniform(0.3, 0.9))
    return replace(
        light,
        key=key,
        key_colour=(strength, strength * 0.97, strength * 0.93),
        sky_colour=_times(light.sky_colour, dim),
        ground_colour=_times(light.ground_colour, dim),
    )


def _times(colour: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def random_shape(model: MorphableModel, rng: np.random.Generator) -> NDArray[np.float32]:
    """A mesh (n, 3), decimetres: identity and expression at random."""
    f_shape = rng.normal(0.0, IDENTITY_SPREAD, len(model.identity))
    f_shape = np.clip(f_shape, -IDENTITY_LIMIT, IDENTITY_LIMIT)
    return model.shape(f_shape, _expression(model.expression_names, rng))


def _expression(names: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """f_exp (len(names),) in [0, 1]; lids, brows and lips move more often than the rest."""
    kind = rng.random()
    f_exp = random_expression(names, rng)
    if FEW <= kind < FEW + UNITS:
        f_exp = 0.3 * f_exp + _units(names, rng)
    elif kind >= FEW + UNITS:
        f_exp = 0.5 * f_exp + rng.uniform(0.0, 1.0, len(names)) ** 4
    for stem, share in (*LIDS, *BROWS, *LIPS):
        if rng.random() < share:
            _set_sides(f_exp, names, stem, rng)
    if "mouthClose" in names:
        # It closes the lips of an open jaw: without one it has no meaning.
        close, jaw = names.index("mouthClose"), f_exp[names.index("jawOpen")]
        f_exp[close] = jaw * rng.uniform(0.0, 1.0) if rng.random() < 0.15 else 0.0
    return np.clip(f_exp, 0.0, 1.0)


def _units(names: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """One or two expressions of Action Units, each as strong as it happens."""
    f_exp = np.zeros(len(names))
    for index in rng.choice(len(EXPRESSIONS), int(rng.integers(1, 3)), replace=False):
        for au, strength in EXPRESSIONS[int(index)].items():
            f_exp += strength * rng.uniform(0.1, 1.1) * weights((au,), names)[0]
    return f_exp


def _set_sides(
    f_exp: NDArray[np.float64], names: tuple[str, ...], stem: str, rng: np.random.Generator
) -> None:
    """A blendshape at random on both sides, alike or not."""
    amount = float(rng.uniform(0.0, 1.0))
    alike = rng.random() < 0.7
    for name in (stem, f"{stem}Left", f"{stem}Right"):
        if name in names:
            side = amount if alike else float(rng.uniform(0.0, 1.0))
            f_exp[names.index(name)] = side * rng.uniform(0.85, 1.15)


def random_view(rng: np.random.Generator) -> tuple[Camera, NDArray[np.float64]]:
    """A camera and a pose (6,) in which the face stands in the picture's middle."""
    camera = Camera.for_image(PICTURE, PICTURE, focal=PICTURE * float(rng.uniform(*FOCAL)))
    pitch, yaw, roll = rng.uniform(-1.0, 1.0, 3) * (PITCH, YAW, ROLL)
    turn = (
        rotation_matrix([0.0, yaw, 0.0])
        @ rotation_matrix([pitch, 0.0, 0.0])
        @ rotation_matrix([0.0, 0.0, roll])
    )
    distance = camera.focal * FACE_HEIGHT / (rng.uniform(*FACE_SHARE) * PICTURE)
    shift = rng.normal(0.0, (0.12, 0.1)) + (0.0, 0.2)
    return camera, np.concatenate([rotation_vector(turn), shift, [-distance]])
