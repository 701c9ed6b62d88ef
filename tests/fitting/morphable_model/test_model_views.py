"""The table and the picture of a model."""

import dataclasses

import cv2
import numpy as np

from glee.fitting.morphable_model.description import expression_basis, model_info
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.model_sheet import draw_mesh, draw_model_sheet


def test_info_tells_sizes_and_basis():
    table = model_info(load_model())
    assert "4,931" in table
    assert "ARKit 51" in table
    assert "8.07 cm apart" in table
    assert "anatomical" in table


def test_a_basis_is_named_after_its_expressions():
    model = load_model()
    names = tuple(f"flame-expression-{i:03d}" for i in range(51))
    assert expression_basis(dataclasses.replace(model, expression_names=names)) == (
        "flame-expression 51"
    )
    names = tuple("abc"[i % 3] + str(i) for i in range(51))
    assert expression_basis(dataclasses.replace(model, expression_names=names)) == "own 51"


def test_a_mesh_is_drawn_where_it_stands():
    model = load_model()
    image = draw_mesh(model, model.mean, size=120)
    drawn = (image != 250).any(2)
    assert 0.2 < drawn.mean() < 0.8
    assert np.abs(drawn.astype(int) - drawn[:, ::-1]).mean() < 0.02, (
        "a symmetric head in the middle"
    )
    red = image.astype(int)[..., 0] - image[..., 1]
    rows, _ = np.nonzero(red > 60)
    assert 60 < rows.mean() < 85, "lips below the middle"


def test_the_sheet_is_a_picture(tmp_path):
    draw_model_sheet(load_model(), tmp_path / "sheet.png")
    image = cv2.imread(str(tmp_path / "sheet.png"))
    assert image.shape[1] == 6 * 240
    assert image.std() > 20
