"""Boxes of upside-down faces: equal only where the angle is, and the same face to each backend."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest

from glee.pipeline.fan_backend.heatmaps import crop_of, crop_transform, landmark_box
from glee.pipeline.landmarks import Box, load_detector
from glee.pipeline.synthesis import synthetic_clip
from glee.pipeline.turned_box import (
    TurnedBox,
    angle_of,
    are_upside_down,
    box_either_way_up,
    is_upside_down,
    turned_over,
)

SIZE = (320, 240)
LAST = np.array(SIZE) - 1


@pytest.fixture(scope="module")
def face():
    """A picture and its true landmarks."""
    truth, pictures = synthetic_clip("SN001", (1,), frames=1, size=SIZE, seed=3, fps=20.0)
    return next(iter(pictures)), truth.landmarks["anatomical"][0].astype(np.float32)


def over(picture):
    return np.ascontiguousarray(picture[::-1, ::-1])


def test_a_box_turned_over_is_another_box_and_one_turned_by_nothing_is_not():
    box = Box(1.0, 2.0, 3.0, 4.0)
    assert turned_over(box) != box
    assert box != turned_over(box)
    assert TurnedBox(*box, 0.0) == box
    assert box == TurnedBox(*box, 0.0)
    assert hash(TurnedBox(*box, 0.0)) == hash(box)
    known = {(0, box): "upright"}
    assert (0, turned_over(box)) not in known


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, False), (80, False), (100, True), (-170, True)]
)
def test_upside_down_is_more_than_a_quarter_turn(degrees, expected):
    assert is_upside_down(TurnedBox(0.0, 0.0, 1.0, 1.0, math.radians(degrees))) is expected


def test_landmarks_tell_the_way_up(face):
    _, landmarks = face
    assert not are_upside_down(landmarks)
    assert are_upside_down(LAST - landmarks)


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_a_box_around_upside_down_landmarks_mirrors_that_of_upright_ones(face, shift):
    def box_above_middle(landmarks):
        x, y = landmarks.mean(0)
        return Box(x - 10, y - 20, x + 10, y)

    landmarks = face[1] + shift
    upright = box_either_way_up(box_above_middle, landmarks)
    turned = box_either_way_up(box_above_middle, -landmarks)
    assert upright == box_above_middle(landmarks)
    np.testing.assert_allclose(turned, [-upright[2], -upright[3], -upright[0], -upright[1]])
    assert angle_of(turned) == math.pi


@pytest.mark.skipif(not find_spec("dlib"), reason="needs dlib")
def test_dlib_gives_an_upside_down_box_the_landmarks_of_the_picture_turned_over(face):
    picture, truth = face
    detector = load_detector("dlib")
    box = detector.box_of(truth)
    upright, confidence = detector.landmarks(picture, box)
    turned = detector.box_of((np.array(SIZE) - truth).astype(np.float32))
    found, same = detector.landmarks(over(picture), turned)
    assert is_upside_down(turned)
    assert same == pytest.approx(confidence, abs=1e-6)
    np.testing.assert_allclose(LAST - found, upright, atol=1e-3)


def test_fan_sees_an_upside_down_box_as_the_picture_turned_over(face):
    picture, truth = face
    upright = crop_of(picture, crop_transform(landmark_box(truth)))
    turned = landmark_box((LAST - truth).astype(np.float32))
    assert is_upside_down(turned)
    seen = crop_of(over(picture), crop_transform(turned))
    # The middle of the box is on a grid, which the two lie on otherwise.
    apart = np.abs(seen.astype(int) - upright).mean()
    assert apart < 6 < np.abs(seen[::-1].astype(int) - upright).mean()
