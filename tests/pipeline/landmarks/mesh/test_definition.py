"""Where iBUG's 68 landmarks lie on the mesh: the figures kept, and how they are measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glee.errors import WeightsError
from glee.fitting.morphable_model.landmark_scheme import MIRROR, inter_ocular_distance
from glee.pipeline.landmarks.mesh.definition import fitted_definition
from glee.pipeline.landmarks.mesh.points import (
    COUNT,
    DEFINITION_PATH,
    MESH_POINTS,
    MOST_POINTS,
    ibug_definition,
    landmarks_from_mesh,
    read_definition,
    write_definition,
)

REFERENCE = Path(__file__).parent / "mesh_reference" / "mediapipe_reference.npz"
MIDDLE = (8, 27, 28, 29, 30, 33, 51, 57, 62, 66)


@pytest.fixture(scope="module")
def mean_face():
    """A face (478, 2) in pixels, as MediaPipe gave it."""
    with np.load(REFERENCE) as file:
        return np.asarray(file["picture_points"][:, :2], np.float64)


def faces(mean_face, count=80, seed=0):
    """Faces whose points move one by one, each turned, scaled and elsewhere: (n, 478, 2)."""
    rng = np.random.default_rng(seed)
    points = mean_face + rng.normal(0, 2.0, (count, COUNT, 2))
    angle, scale = rng.uniform(-1, 1, count), rng.uniform(0.5, 2.0, count)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = points @ (turn * scale).transpose(2, 0, 1)
    return moved + rng.uniform(-200, 200, (count, 1, 2))


def test_each_landmark_is_of_at_most_four_points_of_the_face_alike_on_both_sides():
    definition = ibug_definition()
    np.testing.assert_allclose(definition.weights.sum(1), 1.0, atol=1e-9)
    used = definition.weights != 0
    assert (used.sum(1) <= MOST_POINTS).all()
    assert not used[:, MESH_POINTS:].any()
    own = np.sort(definition.weights, axis=1)
    np.testing.assert_array_equal(own, own[MIRROR])
    np.testing.assert_array_equal(definition.offsets[MIRROR], definition.offsets * (-1, 1))
    assert not definition.offsets[list(MIDDLE), 0].any()


def test_landmarks_turn_and_grow_with_the_face(mean_face):
    plain = landmarks_from_mesh(mean_face)
    turned = np.stack([-mean_face[:, 1], mean_face[:, 0]], 1) * 3 + (10, -4)
    expected = np.stack([-plain[:, 1], plain[:, 0]], 1) * 3 + (10, -4)
    np.testing.assert_allclose(landmarks_from_mesh(turned), expected, atol=1e-3)
    deep = np.concatenate([mean_face, np.ones((COUNT, 1))], 1)
    np.testing.assert_array_equal(landmarks_from_mesh(np.stack([deep, deep]))[1], plain)


@pytest.fixture(scope="module")
def made(mean_face):
    """Faces, their landmarks by the kept definition, and what is fitted to both."""
    points = faces(mean_face)
    landmarks = landmarks_from_mesh(points).astype(np.float64)
    return points, landmarks, *fitted_definition(points, landmarks)


def test_the_definition_that_made_the_landmarks_is_found_again(mean_face, made):
    *_, found, mirror = made
    assert (mirror[mirror] == np.arange(MESH_POINTS)).all()
    others = faces(mean_face, seed=1)
    truth = landmarks_from_mesh(others)
    apart = np.linalg.norm(found.landmarks(others) - truth, axis=2)
    # The jaw's and the outer brow ends' points lie too far off in this face to be chosen again.
    apart = apart[:, [*range(18, 26), *range(27, 68)]]
    # The ridge holds the weights back a little, and each point moves by 3 % of the eyes' distance.
    assert (apart.mean(0) < 0.01 * inter_ocular_distance(truth).mean()).all()


def test_a_written_definition_is_read_back(made, tmp_path):
    *_, found, mirror = made
    write_definition(tmp_path / "own.toml", found, mirror)
    read = read_definition(tmp_path / "own.toml")
    np.testing.assert_allclose(read.weights, found.weights, atol=2e-4)
    np.testing.assert_allclose(read.offsets, found.offsets, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("landmark = 30", "landmark = 31", r"lacks landmarks \[30\]"),
        ("weights = [", "weights = [0.5, ", "defines no landmarks"),
        ("points = [", "points = [470, ", "defines no landmarks"),
        ("[[landmark]]", "[[landmark", "defines no landmarks"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, old, new, told):
    text = DEFINITION_PATH.read_text("utf-8")
    assert old in text
    (tmp_path / "cut.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(WeightsError, match=told) as caught:
        read_definition(tmp_path / "cut.toml")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="no such file"):
        read_definition(tmp_path / "none.toml")
