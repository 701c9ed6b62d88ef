"""People for `bias.py`: each is rendered again and again with one trait changed, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from identity_axes import AXES
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.appearance import HAIR_COLOURS, IRIS_COLOURS, Appearance, skin_tone
from glee.fitting.render.renderer import random_appearance, render
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets.disfa import AUS
from glee.pipeline.synthesis.motion import random_motion

SIZE, FPS, QUALITY = (640, 480), 20.0, 92
LIMIT = 2.0  # of a random coefficient, standard deviations
DISTANCE = 8.0  # decimetres; the face fills half of the height
# Trait: its levels. Skin on the Monk scale; sex and age as MakeHuman shapes them.
TONES = {"Monk 3": 3.0, "Monk 5": 5.0, "Monk 6.5": 6.5, "Monk 8": 8.0}
SHAPES = {"sex": ("female", "male"), "age": ("young", "old")}
WRINKLES = {"young": 0.05, "old": 0.8}
TRAITS = {"skin tone": tuple(TONES), **SHAPES}
CONTRAST = {"skin tone": ("Monk 3", "Monk 8"), **SHAPES}


@dataclass(frozen=True, eq=False)
class Person:
    """Who is changed: a random identity without sex and age, motion and look."""

    f_shape: NDArray[np.float64]
    f_exp: NDArray[np.float32]
    pose: NDArray[np.float64]
    look: Appearance
    seed: int


def random_person(seed: int, frames: int) -> Person:
    """Dark hair and eyes, no beard, no lipstick, on all, so that only the trait differs."""
    rng = np.random.default_rng(seed)
    model = load_model()
    look = random_appearance(rng)
    look = replace(
        look,
        hair=tuple(map(float, HAIR_COLOURS[1])),
        brow=tuple(0.8 * c for c in HAIR_COLOURS[1]),
        iris=tuple(map(float, IRIS_COLOURS[0])),
        lip_paint=0.0,
        stubble=0.0,
        freckles=0.0,
    )
    f_shape = np.clip(rng.standard_normal(len(model.identity)), -LIMIT, LIMIT)
    motion = random_motion(AUS, model.expression_names, frames, FPS, rng)
    pose = np.concatenate([motion.turn, motion.shift + (0.0, 0.12, -DISTANCE)], 1)
    return Person(
        _without_axes(f_shape), motion.f_exp.astype(np.float32), pose, with_tone(look, 5.0), seed
    )


def _without_axes(f_shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """The identity less its parts along the axes of sex and age."""
    ends = axes()
    directions = np.stack([ends[high] - ends[low] for low, high in SHAPES.values()])
    basis = np.linalg.qr(directions.T)[0]
    return f_shape - basis @ (basis.T @ f_shape)


def axes() -> dict[str, NDArray[np.float64]]:
    """End of an axis -> f_shape."""
    return {name: np.array(row) for name, row in json.loads(AXES.read_text()).items()}


def with_tone(look: Appearance, tone: float) -> Appearance:
    """Another skin, and lips of their own colour in it."""
    skin = skin_tone(tone)
    lip = tuple(
        float(c) for c in np.clip(np.array(skin) * (0.88, 0.62, 0.62) + (6.0, 0.0, 4.0), 2, 253)
    )
    return replace(look, tone=tone, skin=skin, lip=lip)


def changed(person: Person, level: str) -> tuple[NDArray[np.float64], Appearance]:
    """The person's f_shape and look with one trait at a level."""
    if level in TONES:
        return person.f_shape, with_tone(person.look, TONES[level])
    look = replace(person.look, wrinkles=WRINKLES.get(level, person.look.wrinkles))
    return person.f_shape + axes()[level], look


def write_clip(folder: Path, person: Person, level: str) -> NDArray[np.float64]:
    """Write the video FOLDER/clip.avi; returns the true landmarks (n, 68, 2), anatomical."""
    model, camera = load_model(), Camera.for_image(*SIZE)
    f_shape, look = changed(person, level)
    truth = np.empty((len(person.f_exp), 68, 2))
    folder.mkdir(parents=True)
    code = cv2.VideoWriter.fourcc(*"MJPG")
    options = [cv2.VIDEOWRITER_PROP_QUALITY, QUALITY]
    video = str(folder / "clip.avi")
    writer = cv2.VideoWriter(video, cv2.CAP_OPENCV_MJPEG, code, FPS, SIZE, options)
    rng = np.random.default_rng([person.seed, 1])
    for frame, (f_exp, pose) in enumerate(zip(person.f_exp, person.pose, strict=True)):
        mesh = model.shape(f_shape.astype(np.float32), f_exp)
        truth[frame] = camera.project(landmark_places(model, mesh, pose, "anatomical"), pose)
        picture = render(model, mesh, pose, camera, look, rng)
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    return truth


def levels() -> Iterator[tuple[str, str]]:
    """Every trait with each of its levels."""
    return ((trait, level) for trait, names in TRAITS.items() for level in names)
