"""A sample of frames covers what the frames show, leaves failures out, and is always the same."""

from __future__ import annotations

import numpy as np

from glee.fitting.camera import Camera
from glee.fitting.initial_pose import _without_position, spread_sample
from glee.fitting.morphable_model.model_file import load_model


def clip(seed=0, count=200):
    """Landmarks of a head that mostly looks ahead and turns left in its last tenth; and the yaw."""
    model = load_model()
    random = np.random.default_rng(seed)
    points = model.landmarks["anatomical"].on(model.mean)
    points -= points.mean(0)
    yaw = np.where(np.arange(count) < 0.9 * count, 0.0, 0.5) + random.normal(0, 0.01, count)
    pose = np.zeros((count, 6))
    pose[:, 1], pose[:, 2], pose[:, 5] = yaw, random.normal(0, 0.2, count), -15
    landmarks = Camera.for_image(640, 480).project(points, pose)
    landmarks = landmarks * random.uniform(0.7, 1.3, (count, 1, 1))
    return landmarks + random.normal(0, 0.2, landmarks.shape), yaw


def test_rare_poses_are_in_the_sample():
    landmarks, yaw = clip()
    chosen = spread_sample(landmarks, 12)
    assert len(chosen) == 12
    assert (yaw[chosen] > 0.4).sum() >= 2
    assert (yaw[chosen] < 0.1).sum() >= 2
    np.testing.assert_array_equal(chosen, np.unique(chosen))
    np.testing.assert_array_equal(chosen, spread_sample(landmarks, 12))


def test_position_size_and_tilt_make_no_difference():
    landmarks, _ = clip()
    moved = landmarks * 1.7 @ np.array([[0.8, -0.6], [0.6, 0.8]]) + [300, -20]
    np.testing.assert_array_equal(spread_sample(landmarks, 20), spread_sample(moved, 20))


def test_missing_frames_and_failures_are_left_out():
    landmarks, _ = clip()
    landmarks[::7] = np.nan
    landmarks[100] = np.random.default_rng(1).uniform(0, 500, (68, 2))
    chosen = spread_sample(landmarks, 30)
    assert np.isfinite(landmarks[chosen]).all()
    assert 100 not in chosen


def test_few_frames_are_all_taken():
    landmarks, _ = clip(count=20)
    landmarks[3] = np.nan
    assert list(spread_sample(landmarks, 50)) == [i for i in range(20) if i != 3]
    assert len(spread_sample(np.full((5, 68, 2), np.nan), 3)) == 0


def test_the_sample_is_that_of_all_distances():
    landmarks, _ = clip(3, 300)
    landmarks[200:] = landmarks[100:0:-1]
    shapes = _without_position(landmarks)
    middle = ((shapes - np.median(shapes, axis=0)) ** 2).sum(1)
    inner = np.sort(np.argsort(middle, kind="stable")[:291])
    apart = ((shapes[inner, None] - shapes[inner]) ** 2).sum(2)
    chosen = [int(middle[inner].argmin())]
    while len(chosen) < 60:
        chosen.append(int(apart[chosen].min(0).argmax()))
    np.testing.assert_array_equal(spread_sample(landmarks, 60), np.sort(inner[chosen]))
