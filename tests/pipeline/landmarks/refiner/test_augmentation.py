"""Training examples: truth stays on the face however the picture is warped, mirrored and spoilt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.pipeline.landmarks.refiner import augmentation, crops
from glee.pipeline.landmarks.refiner.renders import STORED, Renders

MARKED = (8, 19, 24, 30, 36, 45, 48, 54)


@pytest.fixture(scope="module")
def dots():
    """A picture that is black but for a white dot at some landmarks."""
    scale, margin = 125, (STORED - 125) / 2
    truth = scale * crops.TEMPLATE - 0.5 + margin
    image = np.zeros((STORED, STORED, 3), np.uint8)
    for x, y in truth[list(MARKED)]:
        cv2.circle(image, (round(16 * x), round(16 * y)), 32, (255, 255, 255), -1, cv2.LINE_AA, 4)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return Renders((jpeg,), truth[None].astype(np.float32), {})


def test_truth_follows_warp_stretch_and_mirror(dots, monkeypatch):
    monkeypatch.setattr(augmentation, "CLEAN", 1.0)
    apart = []
    for seed in range(60):
        one = augmentation.example(dots, 0, np.random.default_rng(seed))
        for x, y in one.truth[list(MARKED)]:
            left, top = round(float(x)) - 5, round(float(y)) - 5
            if min(left, top) < 0 or max(left, top) + 11 > crops.SIDE:
                continue
            part = one.crop[top : top + 11, left : left + 11, 1].astype(float)
            rows, columns = np.mgrid[:11, :11]
            seen = np.array([(part * columns).sum(), (part * rows).sum()]) / part.sum()
            apart.append(np.hypot(*(seen + (left, top) - (x, y))))
    assert len(apart) > 300
    assert np.mean(apart) < 0.25
    assert np.quantile(apart, 0.99) < 0.8


def test_example_depends_on_its_generator_alone(few_renders):
    one, again, other = (
        augmentation.example(few_renders, 2, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(one.crop, again.crop)
    assert np.array_equal(one.first, again.first)
    assert not np.array_equal(one.crop, other.crop)


def test_first_landmarks_are_off_by_as_much_as_backends_are(few_renders):
    examples = [
        augmentation.example(few_renders, seed % 6, np.random.default_rng(seed))
        for seed in range(120)
    ]
    error = np.array([np.linalg.norm(one.first - one.truth, axis=-1).mean() for one in examples])
    eyes = np.array([inter_ocular_distance(one.truth) for one in examples])
    assert 0.02 < np.median(error / eyes) < 0.10
    assert all(one.crop.dtype == np.uint8 and one.crop.shape == (112, 112, 3) for one in examples)


def test_a_face_that_the_backend_missed_gets_simulated_landmarks(few_renders):
    missing = Renders(
        few_renders.jpegs,
        few_renders.truth,
        {"mesh": np.full_like(few_renders.truth, np.nan)},
    )
    for seed in range(20):
        one = augmentation.example(missing, 0, np.random.default_rng(seed))
        assert np.isfinite(one.first).all()
