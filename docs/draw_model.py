"""Draws the pictures of the embedded model in this folder: ``python docs/draw_model.py``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glee.fitting.calibration.random_faces import random_face
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.render.appearance import Appearance, random_appearance
from glee.fitting.render.renderer import render

Image = NDArray[np.uint8]

PLAIN = Appearance(
    background="plain", noise=0.0, defocus=0.4, wrinkles=0.2, blotches=0.3, hair_line=0.7
)
MARKS = {"anatomical": (40, 200, 60), "dlib": (230, 40, 40)}
CURVE, LINE = (70, 110, 250), (245, 225, 90)
QUALITY = 88


def random_heads(model: MorphableModel) -> Image:
    """Random people with random expressions and poses."""
    camera = Camera.for_image(320, 320)
    cells = []
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        look = random_appearance(rng)
        mesh, pose = random_face(model, camera, rng)
        cells.append(render(model, mesh, pose, camera, look, rng)[28:288, 30:290])
    return _grid(cells, 8)


def identity_modes(model: MorphableModel) -> Image:
    """The first 24 identity modes at -2 and +2 standard deviations."""
    cells = []
    for mode in range(24):
        for value in (-2.0, 2.0):
            f_shape = np.zeros(len(model.identity))
            f_shape[mode] = value
            cells.append(_labelled(_face(model, model.shape(f_shape)), f"{mode}: {value:+.0f}"))
    return _grid(cells, 8)


def blendshapes(model: MorphableModel) -> Image:
    """Each of the 51 blendshapes at 1."""
    cells = []
    for index, name in enumerate(model.expression_names):
        f_exp = np.zeros(len(model.expression))
        f_exp[index] = 1.0
        cells.append(_labelled(_face(model, model.shape(None, f_exp)), name))
    return _grid(cells, 9)


def landmarks(model: MorphableModel) -> Image:
    """Both landmark sets, the curves and the jaw lines; mouth closed and open, front and side."""
    camera = Camera.for_image(720, 720, 2080.0)
    opened = np.zeros(len(model.expression))
    opened[model.expression_names.index("jawOpen")] = 0.6
    rows = []
    for f_exp in (None, opened):
        mesh = model.shape(None, f_exp)
        row = []
        for yaw in (0.0, 0.6):
            pose = np.array([0.0, yaw, 0.0, 0.0, 0.25, -8.0])
            picture = render(model, mesh, pose, camera, PLAIN, np.random.default_rng(0))
            lines = [(points, CURVE) for points in model.curves.values()]
            lines += [(points, LINE) for points in map(model.jaw_candidates.__getitem__, range(17))]
            for points, colour in lines:
                _polyline(picture, camera.project(points.on(mesh), pose), colour)
            for name, colour in MARKS.items():
                if name in model.landmarks:
                    _dots(picture, camera.project(model.landmarks[name].on(mesh), pose), colour)
            row.append(picture[110:690, 90:630])
        rows.append(np.hstack(row))
    return _labelled(np.vstack(rows), "green anatomical, red calibrated to dlib")


def _face(model: MorphableModel, mesh: NDArray[np.float32]) -> Image:
    camera = Camera.for_image(200, 200)
    look = replace(PLAIN, hair_line=0.74)
    pose = np.array([0.0, 0.25, 0.0, 0.0, 0.35, -4.4])
    return render(model, mesh, pose, camera, look, np.random.default_rng(0))


def _polyline(picture: Image, points: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.polylines(picture, [fixed], False, colour, 1, cv2.LINE_AA, 4)


def _dots(picture: Image, points: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    for x, y in np.rint(points * 16).astype(int).tolist():
        cv2.circle(picture, (x, y), 40, colour, -1, cv2.LINE_AA, 4)


def _labelled(picture: Image, text: str) -> Image:
    picture = np.ascontiguousarray(picture)
    place = (5, picture.shape[0] - 7)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, 16)
    return picture


def _grid(cells: list[Image], columns: int) -> Image:
    cells = cells + [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def main() -> None:
    """Command line: all pictures, or those named."""
    pictures = {
        "random_heads": random_heads,
        "identity_modes": identity_modes,
        "blendshapes": blendshapes,
        "landmarks": landmarks,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*pictures, []], default=[])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    model = load_model()
    for name in arguments.names or pictures:
        picture = pictures[name](model)
        path = arguments.output / f"{name}.jpg"
        cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
