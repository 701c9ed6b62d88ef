"""Draws docs/bias.jpg: two of the people of benchmarks/bias.py with every trait that it changes.

PYTHONPATH=benchmarks .venv/bin/python docs/draw_bias.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from bias_people import SIZE, changed, levels, random_person

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.renderer import render

SEEDS, FRAME, SIDE = (9000, 9003), 5, 200


def main() -> None:
    """A row a person, a column a level."""
    model, camera = load_model(), Camera.for_image(*SIZE)
    rows = []
    for seed in SEEDS:
        person, row = random_person(seed, FRAME + 1), []
        for trait, level in levels():
            f_shape, look = changed(person, level)
            mesh = model.shape(f_shape.astype(np.float32), person.f_exp[FRAME])
            picture = render(
                model, mesh, person.pose[FRAME], camera, look, np.random.default_rng(1)
            )
            square = picture[20:460, 100:540, ::-1]
            small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            words = level if trait == "skin tone" else f"{trait}: {level}"
            cv2.putText(small, words, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1)
            row.append(small)
        rows += [np.hstack(row)]
    sheet = np.vstack(rows)
    options = [cv2.IMWRITE_JPEG_QUALITY, 85]
    cv2.imwrite(str(Path(__file__).with_name("bias.jpg")), sheet, options)


if __name__ == "__main__":
    main()
