"""Rendered people whose f_exp is known: of our model and of ICT-FaceKit's, by four sorts of motion.

Whoever trains on such people must leave out the model, or the people, that it is judged on.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.errors import UsageError
from glee.fitting.camera import Camera, rotation_matrix, rotation_vector
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model, read_model, write_model
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.render.renderer import random_appearance, render
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets.disfa import AUS
from glee.pipeline.synthesis.clips import synthetic_clip

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

ICT = Path(__file__).resolve().parents[2] / "shared" / "models" / "ict-facekit-60id.tar.xz"
# Kind -> whose faces, and whether sides move alike. Of own_rules the expressions are those of
# `glee synth`; of the others any blendshapes come and go, as many together as the last number says.
KINDS: dict[str, tuple[str, bool, int]] = {
    "own_rules": ("own", True, 0),
    "own_single": ("own", False, 2),
    "ict_alike": ("ict", True, 3),
    "ict_apart": ("ict", False, 2),
}
SIZE = (480, 360)
FPS = 20.0
SEEDS_BEFORE = 91_000  # other seeds than those of demos, calibrations and the refiner
IDENTITY_LIMIT = 2.0  # standard deviations
FACE_HEIGHT, FACE_SHARE, EYE_HEIGHT = 1.9, 0.55, 0.12  # decimetres, of the height, decimetres
# An expression comes and goes in so many frames; the next begins STEP frames after it.
COURSE = np.array([0.35, 0.85, 1.0, 1.0, 0.85, 0.35])
STEP = 5
LEAST, MOST = 0.4, 1.0  # of a coefficient at its largest
YAW, PITCH, ROLL = np.radians([10.0, 6.0, 4.0])  # amplitudes of the head's slow turns
# Of the mean ICT head, decimetres: where hair is not painted. From, to along each axis, |x| first.
EARS = ((0.66, 1.0), (-0.55, 0.12), (-0.22, 0.22))


@dataclass(frozen=True, eq=False)
class Person:
    """A rendered clip of n frames and its truth.

    pictures: (n, h, w, 3) uint8 RGB. f_exp: (n, 51) in the order of `names`. landmarks: (n, 68, 2)
    pixels, the model's own anatomical points, jaw on the visible contour. pose: (n, 6), see
    camera.py. model: whose face it is.
    """

    name: str
    pictures: Image
    f_exp: Floats
    landmarks: Floats
    pose: Floats
    names: tuple[str, ...]
    model: MorphableModel


def render_people(
    kind: str, seed: int, people: int, frames: int, size: tuple[int, int] = SIZE
) -> Iterator[Person]:
    """So many people of a kind, one after the other.

    kind: one of KINDS. Other seeds give other people. size: (width, height), pixels.
    Raises UsageError for an unknown kind, DataError where ICT-FaceKit cannot be read.
    """
    if kind not in KINDS:
        raise UsageError(f"people {kind!r}: give one of {', '.join(KINDS)}")
    if kind == "own_rules":
        yield from _by_rules(seed, people, frames, size)
        return
    whose, alike, together = KINDS[kind]
    model = load_model() if whose == "own" else ict_model()
    rng = np.random.default_rng([SEEDS_BEFORE + seed, *kind.encode()])
    deck = Deck(model.expression_names, alike, rng)
    for number in range(people):
        f_exp = _course(deck, together, frames, rng)
        yield rendered(f"{kind}{number}", model, f_exp, size, rng)


@lru_cache(maxsize=1)
def ict_model() -> MorphableModel:
    """ICT-FaceKit as `glee model import` brings it in, with its ears marked for the painter.

    Reading its hundred OBJ files takes long, so the imported model is kept in the temporary folder.
    """
    digest = hashlib.sha256(ICT.read_bytes()).hexdigest()[:16] if ICT.is_file() else "missing"
    kept = Path(tempfile.gettempdir()) / f"glee-benchmark-ict-{digest}.h5"
    if kept.is_file():
        model = read_model(kept)
    else:
        model = import_model("ict-facekit", ICT)
        write_model(kept, model)
    place = np.column_stack([np.abs(model.mean[:, 0]), model.mean[:, 1], model.mean[:, 2]])
    ears = np.all([(p > low) & (p < high) for p, (low, high) in zip(place.T, EARS, strict=True)], 0)
    return replace(model, masks={**model.masks, "ears": ears.astype(np.float32)})


class Deck:
    """Blendshapes in random order, each as often as the others; where sides are alike, in pairs."""

    def __init__(self, names: tuple[str, ...], alike: bool, rng: np.random.Generator) -> None:
        stems: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            stem = name.removesuffix("Left").removesuffix("Right") if alike else name
            # jawLeft and mouthRight are directions, not sides.
            stem = name if stem in ("jaw", "mouth") else stem
            if not name.startswith("eyeLook"):
                stems.setdefault(stem, []).append(index)
        self.count = len(names)
        self._cards, self._rng = list(stems.values()), rng
        self._left: list[list[int]] = []

    def draw(self) -> list[int]:
        """The indices of the next shape, one or two."""
        if not self._left:
            self._left = [self._cards[i] for i in self._rng.permutation(len(self._cards))]
        return self._left.pop()


def _course(deck: Deck, together: int, frames: int, rng: np.random.Generator) -> Floats:
    """f_exp (frames, e): expressions of one to `together` shapes that come and go."""
    f_exp = np.zeros((frames + len(COURSE), deck.count))
    for start in range(1, frames, STEP):
        for _ in range(int(rng.integers(1, together + 1))):
            shape, most = deck.draw(), rng.uniform(LEAST, MOST)
            f_exp[start : start + len(COURSE), shape] += most * COURSE[:, None]
    return np.clip(f_exp[:frames], 0.0, 1.0)


def _by_rules(seed: int, people: int, frames: int, size: tuple[int, int]) -> Iterator[Person]:
    model = load_model()
    for number in range(people):
        name = f"own_rules{number}"
        truth, pictures = synthetic_clip(
            name, AUS, frames=frames, size=size, seed=SEEDS_BEFORE + seed, fps=FPS
        )
        yield Person(
            name,
            np.stack(list(pictures)),
            truth.f_exp.astype(np.float64),
            truth.landmarks["anatomical"].astype(np.float64),
            truth.pose,
            model.expression_names,
            model,
        )


def rendered(
    name: str,
    model: MorphableModel,
    f_exp: Floats,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Person:
    """A person of a model who makes these expressions, f_exp (n, e), and turns the head slowly."""
    camera = Camera.for_image(*size)
    look = random_appearance(rng)
    f_shape = np.clip(rng.standard_normal(len(model.identity)), -IDENTITY_LIMIT, IDENTITY_LIMIT)
    pose = _head(len(f_exp), camera, rng)
    pictures, landmarks = [], []
    for row, place in zip(f_exp, pose, strict=True):
        mesh = model.shape(f_shape, row)
        pictures.append(render(model, mesh, place, camera, look, rng))
        landmarks.append(camera.project(landmark_places(model, mesh, place, "anatomical"), place))
    return Person(
        name,
        np.stack(pictures),
        f_exp,
        np.stack(landmarks),
        pose,
        model.expression_names,
        model,
    )


def _head(frames: int, camera: Camera, rng: np.random.Generator) -> Floats:
    """Poses (frames, 6): slow turns and shifts, sinusoids of several seconds."""
    time = np.arange(frames)[:, None] / FPS
    waves = np.sin(2 * np.pi * (time / rng.uniform(2.0, 6.0, 6) + rng.uniform(0.0, 1.0, 6)))
    pitch, yaw, roll = (waves[:, :3] * (PITCH, YAW, ROLL)).T
    zero = np.zeros(frames)
    turn = (
        rotation_matrix(np.stack([zero, yaw, zero], 1))
        @ rotation_matrix(np.stack([pitch, zero, zero], 1))
        @ rotation_matrix(np.stack([zero, zero, roll], 1))
    )
    face = FACE_SHARE * camera.height * rng.uniform(0.85, 1.1)
    middle = np.array([0.0, EYE_HEIGHT, -camera.focal * FACE_HEIGHT / face])
    shift = middle + waves[:, 3:] * (0.1, 0.06, 0.25)
    return np.concatenate([rotation_vector(turn), shift], 1)
