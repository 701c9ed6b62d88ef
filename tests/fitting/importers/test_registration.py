"""Carrying landmarks and blendshapes over: truth from another identity on another mesh."""

import numpy as np
import pytest

from glee.fitting.importers.registration import (
    carry_blendshapes,
    carry_landmarks,
    register_embedded,
)
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import SurfacePoints


def other_mesh(f_shape):
    """The embedded skin of another person on other vertices: the triangles' centres with theirs."""
    model = load_model()
    triangles = model.part_triangles("skin", "lips").astype(np.int64)
    used, local = np.unique(triangles, return_inverse=True)
    local = local.reshape(triangles.shape)
    centre = len(used) + np.arange(len(triangles))
    split = np.concatenate(
        [np.column_stack([local[:, i], local[:, (i + 1) % 3], centre]) for i in range(3)]
    )

    def vertices(mesh):
        return np.concatenate([mesh[used], mesh[triangles].mean(1)]).astype(np.float64)

    return vertices, vertices(model.shape(f_shape)), split


@pytest.fixture(scope="module")
def person():
    return np.random.default_rng(11).normal(0.0, 1.0, len(load_model().identity))


@pytest.mark.parametrize("known", [True, False])
def test_another_person_on_another_mesh(person, known):
    model = load_model()
    vertices, mesh, triangles = other_mesh(person)
    truth = model.landmarks["anatomical"].on(model.shape(person))
    marks = None
    if known:
        nearest = np.linalg.norm(mesh[None] - truth[:, None], axis=2).argmin(1)
        marks = SurfacePoints(
            np.repeat(nearest[:, None], 3, 1).astype(np.int32), np.full((68, 3), 1 / 3, np.float32)
        )
    registration = register_embedded(mesh, triangles, marks)
    carried = carry_landmarks(registration, mesh, triangles).on(mesh)
    error = np.linalg.norm(carried - truth, axis=1)[17:] * 100
    assert error.mean() < 1.5, "millimetres, eyes, brows, nose and mouth"
    shapes = carry_blendshapes(registration)
    front = mesh[:, 2] > 0.5
    cosines = []
    for name, found in zip(model.expression_names, shapes, strict=True):
        true = vertices(model.expression[model.expression_names.index(name)])[front].ravel()
        cosines.append(found[front].ravel() @ true / np.linalg.norm(true))
        cosines[-1] /= np.linalg.norm(found[front])
    assert np.median(cosines) > 0.95
