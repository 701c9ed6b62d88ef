"""The refiner's crop: a similarity from the landmarks, and pictures that do not sparkle."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import MIRROR
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.landmarks.refiner import crops


def face(angle=0.3, scale=2.0, shift=(200.0, 120.0)):
    """The template, in pixels of a crop, under a similarity; and the similarity's matrix."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])
    points = crops.SIDE * crops.TEMPLATE - 0.5
    return points @ matrix[:, :2].T + matrix[:, 2], matrix


def test_template_is_the_mean_face_from_the_front():
    model = load_model()
    mean = model.landmarks["anatomical"].on(model.mean)[:, :2] * (1.0, -1.0)
    transform = crops.crop_transform(mean)
    apart = crops.to_crop(mean, transform) - (crops.SIDE * crops.TEMPLATE - 0.5)
    # One point of the model's inner lip is not the mirror of its other side's.
    assert np.abs(apart).max() < 0.8
    assert np.median(np.abs(apart)) < 0.05
    np.testing.assert_allclose(crops.TEMPLATE[MIRROR] * (-1, 1) + (1, 0), crops.TEMPLATE)


def test_transform_undoes_a_similarity():
    landmarks, matrix = face()
    transform = crops.crop_transform(landmarks)
    whole = np.vstack([transform, [0, 0, 1]]) @ np.vstack([matrix, [0, 0, 1]])
    np.testing.assert_allclose(whole, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(
        crops.to_source(crops.to_crop(landmarks, transform), transform), landmarks, atol=1e-9
    )


@pytest.mark.parametrize("landmarks", [np.full((68, 2), np.nan), np.full((68, 2), 7.0)])
def test_no_face_no_transform(landmarks):
    with pytest.raises(ValueError, match="no crop"):
        crops.crop_transform(landmarks)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0, 6.3])
def test_crop_shows_what_lies_at_its_pixels(scale):
    landmarks, _ = face(angle=0.1, scale=scale, shift=(150.0, 60.0))
    y, x = np.mgrid[:900, :1000]
    # A plane: what averaging and interpolation leave as it is.
    image = np.stack([x / 4.0, y / 4.0, np.full(x.shape, 9.0)], -1)
    transform = crops.crop_transform(landmarks)
    crop = crops.crop_of(np.rint(image).astype(np.uint8), transform)
    grid = np.stack(np.meshgrid(np.arange(20, 92), np.arange(20, 92)), -1)
    expected = crops.to_source(grid.astype(float), transform) / 4.0
    apart = np.abs(crop[20:92, 20:92, :2] - expected)
    assert apart.mean() < 0.5
    assert apart.max() < 1.6


def test_large_faces_are_averaged_down():
    landmarks, _ = face(angle=0.0, scale=8.0, shift=(0.0, 0.0))
    checks = np.indices((900, 900)).sum(0) % 2 * 255
    image = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    crop = crops.crop_of(image, crops.crop_transform(landmarks))
    assert crop[10:100, 10:100].std() < 12


def test_covariance_turns_and_grows_with_the_transform():
    rng = np.random.default_rng(0)
    landmarks, _ = face(angle=1.1, scale=3.0)
    transform = crops.crop_transform(landmarks)
    factor = np.array([[0.8, 0.0], [0.5, 0.3]])
    points = rng.standard_normal((200_000, 2)) @ factor.T
    measured = np.cov(crops.to_source(points, transform).T)
    np.testing.assert_allclose(
        crops.covariance_to_source(factor @ factor.T, transform), measured, rtol=0.02
    )
