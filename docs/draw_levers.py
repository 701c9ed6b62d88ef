"""Draws docs/levers.jpg: each part of a render on and off side by side, and each addition.

.venv/bin/python docs/draw_levers.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.appearance import ADDITIONS, PARTS, RenderParts, random_appearance
from glee.pipeline.synthesis.pictures import compressed, draw_pictures

HERE = Path(__file__).resolve().parent
SIDE, COLUMNS, HEAD, SEED = 150, 4, 22, 90
CAMERA = Camera.for_image(600, 600)
POSE = np.array([0.05, 0.30, 0.0, 0.0, 0.15, -6.4])
EXPRESSION = {"jawOpen": 0.55, "mouthSmile": 0.35, "mouthUpperUp": 0.5, "tongueOut": 0.0}
EXPRESSION |= {"eyeBlink": 0.35, "browInnerUp": 0.3, "eyeSquint": 0.2}
# Where to look, left, top and side as parts of the picture.
WHOLE, EYE, MOUTH, FACE = (0, 0, 1), (0.40, 0.34, 0.2), (0.47, 0.55, 0.22), (0.22, 0.22, 0.6)
PLACES = {
    **dict.fromkeys(("lids", "lashes", "brows"), EYE),
    **dict.fromkeys(("lips", "teeth", "tongue", "lip-texture", "face-cloth"), MOUTH),
    **dict.fromkeys(("defocus", "noise", "codec", "compression", "motion-blur"), EYE),
    **dict.fromkeys(("hair", "cloth", "background", "face-cloth"), WHOLE),
}

Picture = NDArray[np.uint8]


def main() -> None:
    """Draw and write the sheet."""
    cells = [_cell(name, _picture(RenderParts(frozenset({name})), name)) for name in PARTS]
    cells += [
        _cell(f"+ {name}", _picture(RenderParts(added=frozenset({name})), name))
        for name in ADDITIONS
    ]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(HERE / "levers.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 90])


def _picture(parts: RenderParts, name: str) -> tuple[Picture, Picture]:
    """The face's second frame as ever, and with parts left out or added: (600, 600, 3) RGB each."""
    model = load_model()
    f_exp = np.zeros((3, len(model.expression_names)), np.float32)
    for column, blendshape in enumerate(model.expression_names):
        stem = blendshape.removesuffix("Left").removesuffix("Right")
        f_exp[:, column] = EXPRESSION.get(stem, 0.0)
    pose = np.tile(POSE, (3, 1))
    pose[:, 3] += [-0.12, 0.0, 0.12]  # only an open shutter sees it
    look = replace(
        random_appearance(np.random.default_rng(SEED)),
        background="clutter",
        wrinkles=0.7,
        noise=4.0,
    )
    shape = np.zeros(len(model.identity), np.float32)
    both = []
    for drawn_parts in (RenderParts(), parts):
        rng = np.random.default_rng(SEED)
        drawn = list(draw_pictures(model, shape, f_exp, pose, CAMERA, look, drawn_parts, rng))
        both.append(drawn[1])
    if name == "codec":  # the file's own losses, here made visible as they are in a JPEG
        both[0] = compressed(both[0], 92)
    return both[0], both[1]


def _cell(name: str, both: tuple[Picture, Picture]) -> Picture:
    left, top, side = PLACES.get(name.removeprefix("+ "), FACE)
    parts = []
    for picture in both:
        height = len(picture)
        x, y, s = (round(value * height) for value in (left, top, side))
        part = picture[y : y + s, x : x + s, ::-1]
        parts.append(
            cv2.resize(
                part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if s > SIDE else cv2.INTER_CUBIC
            )
        )
    cell = np.full((SIDE + HEAD, 2 * SIDE + 8, 3), 255, np.uint8)
    cell[HEAD:, : 2 * SIDE] = np.hstack(parts)
    text = f"{name}" if name.startswith("+") else f"- {name}"
    cv2.putText(cell, text, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


if __name__ == "__main__":
    main()
