"""Landmarks of the model's heads, projected, are plausible; scrambled and squeezed ones are not."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.landmarks.face_identity import assess, is_cut

CAMERA = Camera.for_image(640, 480)


def projected(yaw=0.0, pitch=0.0, roll=0.0, distance=15.0, seed=None):
    model = load_model()
    random = np.random.default_rng(seed)
    shape = None if seed is None else random.normal(0, 1, 60).clip(-2, 2)
    expression = None if seed is None else random.random(51) * (random.random(51) < 0.1)
    points = model.landmarks["anatomical"].on(model.shape(shape, expression))
    points -= points.mean(0)
    return CAMERA.project(points, [pitch, yaw, roll, 0, 0, -distance])


@pytest.mark.parametrize("yaw", [-0.7, 0.0, 0.5])
@pytest.mark.parametrize("pitch", [-0.4, 0.0, 0.4])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_heads_are_plausible(yaw, pitch, seed):
    found = assess(projected(yaw, pitch, 0.3, seed=seed))
    assert found.plausible
    assert found.deviation < 0.2


def test_size_is_not_shortened_by_yaw():
    frontal, turned = assess(projected()), assess(projected(yaw=0.6))
    assert turned.size == pytest.approx(frontal.size, rel=0.1)


def test_what_is_no_face():
    face = projected()
    random = np.random.default_rng(4)
    middle = face.mean(0)
    assert not assess(random.permutation(face)).plausible
    assert not assess(random.uniform(0, 400, (68, 2))).plausible
    assert not assess(middle + (face - middle) * [0.4, 1.0]).plausible
    assert not assess(middle + (face - middle) * [-1.0, 1.0]).plausible
    assert not assess(middle + (face - middle) * 0.05).plausible
    assert not assess(np.full((68, 2), np.nan)).plausible
    assert not assess(np.zeros((68, 2))).plausible


def scene(seed):
    """A picture of large and small shapes, (240, 320, 3) uint8."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3)).repeat(40, 0).repeat(40, 1)
    fine = random.integers(-20, 20, (240, 320, 3))
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_is_told_from_light_and_motion(seed):
    picture = scene(seed)
    bright = np.clip(picture * 1.8, 0, 255).astype(np.uint8)
    dark = (picture * 0.4).astype(np.uint8)
    moved = np.roll(picture, (3, 6), (0, 1))
    for same in (picture, bright, dark, moved):
        assert not is_cut(picture, same)
    assert is_cut(picture, scene(seed + 100))
    assert is_cut(picture, picture[::2])
    assert is_cut(np.zeros_like(picture), np.full_like(picture, 200))
