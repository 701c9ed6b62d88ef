"""Aligned faces of random people, rendered once and read by the training of the embedding.

Every picture has a face shape and an expression of its own, so that knowing a person does not help;
skin, which is costly to paint, is shared by PER_SKIN pictures. A folder holds `crops.npy`, a
memory-mapped file, and the truth beside it. A killed run goes on with the next block.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.fitting.calibration.random_faces import FACE_HEIGHT, random_expression
from glee.fitting.camera import Camera, rotation_matrix, rotation_vector
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.render.appearance import Appearance
from glee.fitting.render.renderer import render
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets.action_units import weights
from glee.pipeline.images.crops import align, alignment_transform, transform_points
from glee.pipeline.landmarks.refiner.augmentation import degraded
from glee.pipeline.landmarks.refiner.crops import SIDE
from glee.pipeline.landmarks.refiner.occluders import occluded, show_mouth
from glee.pipeline.landmarks.refiner.renders import random_person, random_picture
from glee.pipeline.synthesis.motion import EXPRESSIONS

Floats = NDArray[np.float64]

PER_SKIN, SKINS = 160, 2
BLOCK = PER_SKIN * SKINS
# What is stored: the aligned face of ALIGNED pixels, and a margin around it to shift and turn in.
STORED, ALIGNED = SIDE, 100
PICTURE, FACE_SHARE, FOCAL = 164, (0.55, 0.68), (1.2, 3.2)  # pixels, of the height, of the side
IDENTITY_SPREAD, IDENTITY_LIMIT = 1.25, 3.0
YAW, PITCH, ROLL = np.radians([28.0, 15.0, 10.0])
# Errors of a detector's landmarks, inter-ocular distances: of the whole face, of a point.
SHIFTED, SCATTERED = 0.015, 0.02
SPOILT = 0.4  # share of the pictures with things over the face, or of another camera
# How an expression is drawn: nearly none, a few movements, Action Units, many movements.
CALM, FEW, UNITS = 0.08, 0.42, 0.25
STRAYED = 0.25  # share of the expressions over which a little of everything is laid


@dataclass(frozen=True, eq=False)
class ExpressionRenders:
    """n pictures.

    Attributes
    ----------
    crops : (n, STORED, STORED, 3) uint8
        RGB, read from the disk when asked for.
    f_exp : (n, 51) float32
        In the order of the embedded model.
    f_shape : (n, k) float32
        Of the rendered model.
    """

    crops: NDArray[np.uint8]
    f_exp: NDArray[np.float32]
    f_shape: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.crops)


def render_expressions(folder: Path, model: MorphableModel, *, seed: int, blocks: int) -> None:
    """Render so many blocks of BLOCK pictures into a folder, as far as they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    names, count = load_model().expression_names, blocks * BLOCK
    done = _done(folder)
    shapes = {
        "crops": ((count, STORED, STORED, 3), np.uint8),
        "f_exp": ((count, len(names)), np.float32),
        "f_shape": ((count, len(model.identity)), np.float32),
    }
    files = {name: _memory(folder / f"{name}.npy", *shape) for name, shape in shapes.items()}
    order = [names.index(name) for name in model.expression_names]
    for block in range(done, blocks):
        for place in range(SKINS):
            rng = np.random.default_rng([seed, 17, block, place])
            skin = random_person(rng)
            for picture in range(PER_SKIN):
                row = block * BLOCK + place * PER_SKIN + picture
                f_exp = random_expressions(model.expression_names, rng)
                f_shape = rng.normal(0.0, IDENTITY_SPREAD, len(model.identity))
                f_shape = np.clip(f_shape, -IDENTITY_LIMIT, IDENTITY_LIMIT)
                camera, pose = _view(rng)
                mesh = model.shape(f_shape, f_exp)
                image = render(model, mesh, pose, camera, _picture(skin, rng), rng)
                points = camera.project(landmark_places(model, mesh, pose, "anatomical"), pose)
                files["crops"][row] = _crop(image, points, rng)
                files["f_exp"][row] = 0.0
                files["f_exp"][row, order] = f_exp
                files["f_shape"][row] = f_shape
        _state(folder, block + 1)


def read_renders(folder: Path) -> ExpressionRenders:
    """The pictures of the blocks that are whole."""
    count = _done(folder) * BLOCK
    crops = np.load(folder / "crops.npy", mmap_mode="r")[:count]
    f_exp, f_shape = (np.load(folder / f"{name}.npy")[:count] for name in ("f_exp", "f_shape"))
    return ExpressionRenders(crops, f_exp, f_shape)


def random_expressions(names: tuple[str, ...], rng: np.random.Generator) -> Floats:
    """f_exp (len(names),) in [0, 1], from nearly none to many movements at once."""
    kind = rng.random()
    f_exp = random_expression(names, rng)
    if kind < CALM:
        f_exp *= rng.uniform(0.0, 0.3)
    elif CALM + FEW <= kind < CALM + FEW + UNITS:
        f_exp *= 0.3
        for index in rng.choice(len(EXPRESSIONS), int(rng.integers(1, 3)), replace=False):
            for au, strength in EXPRESSIONS[int(index)].items():
                f_exp += strength * rng.uniform(0.1, 1.1) * weights((au,), names)[0]
    elif kind >= CALM + FEW + UNITS:
        moved = rng.choice(len(names), int(rng.integers(3, 10)), replace=False)
        f_exp[moved] += rng.uniform(0.2, 1.0, len(moved))
    if rng.random() < STRAYED:
        f_exp += rng.uniform(0.0, 0.3) * rng.uniform(0.0, 1.0, len(names)) ** 4
    # It closes the lips of an open jaw: without one it has no meaning.
    close, jaw = names.index("mouthClose"), f_exp[names.index("jawOpen")]
    f_exp[close] = jaw * rng.uniform(0.0, 1.0) if rng.random() < 0.15 else 0.0
    return np.asarray(np.clip(f_exp, 0.0, 1.0))


def _picture(skin: Appearance, rng: np.random.Generator) -> Appearance:
    look = random_picture(skin, rng)
    # Lashes, at this size, are a quarter of the time.
    return replace(look, without=frozenset({"lashes"})) if rng.random() < 0.6 else look


def _view(rng: np.random.Generator) -> tuple[Camera, Floats]:
    camera = Camera.for_image(PICTURE, PICTURE, focal=PICTURE * float(rng.uniform(*FOCAL)))
    pitch, yaw, roll = rng.uniform(-1.0, 1.0, 3) * (PITCH, YAW, ROLL)
    turn = (
        rotation_matrix([0.0, yaw, 0.0])
        @ rotation_matrix([pitch, 0.0, 0.0])
        @ rotation_matrix([0.0, 0.0, roll])
    )
    distance = camera.focal * FACE_HEIGHT / (rng.uniform(*FACE_SHARE) * PICTURE)
    shift = rng.normal(0.0, (0.06, 0.05)) + (0.0, 0.2)
    return camera, np.concatenate([rotation_vector(turn), shift, [-distance]])


def _crop(image: NDArray[np.uint8], points: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The face aligned as in a shard, by landmarks with errors."""
    eyes = float(np.linalg.norm(points[45] - points[36]))
    errors = rng.normal(0.0, SHIFTED, 2) + rng.normal(0.0, SCATTERED, points.shape)
    transform = alignment_transform(points + eyes * errors, ALIGNED)
    transform[:, 2] += (STORED - ALIGNED) / 2
    crop, own = align(image, transform, STORED), transform_points(points, transform)
    crop = show_mouth(crop, own, rng)
    if rng.random() < SPOILT:
        crop = degraded(occluded(np.ascontiguousarray(crop), own, rng), rng)
    return crop


def _memory(path: Path, shape: tuple[int, ...], dtype: type) -> NDArray[np.generic]:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)


def _done(folder: Path) -> int:
    path = folder / "blocks.json"
    return int(json.loads(path.read_text())) if path.exists() else 0


def _state(folder: Path, blocks: int) -> None:
    path = folder / "blocks.json"
    path.with_suffix(".new").write_text(json.dumps(blocks))
    path.with_suffix(".new").replace(path)
