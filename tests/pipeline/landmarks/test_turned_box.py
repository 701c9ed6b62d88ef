"""Boxes of turned faces: equal only where the angle is, and the same face to each backend."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.detector import (
    TURN,
    Box,
    TurnedBox,
    angle_of,
    box_of_turned,
    is_upside_down,
    landmark_angle,
    nearest_turn,
    rotation,
)
from glee.pipeline.landmarks.fan.heatmaps import crop_of, crop_transform, landmark_box
from glee.pipeline.synthesis.clips import synthetic_clip

SIZE = (320, 240)
LAST = np.array(SIZE) - 1


@pytest.fixture(scope="module")
def face():
    """A picture and its true landmarks."""
    truth, pictures = synthetic_clip("SN001", (1,), frames=1, size=SIZE, seed=3, fps=20.0)
    return next(iter(pictures)), truth.landmarks["anatomical"][0].astype(np.float32)


def over(picture):
    return np.ascontiguousarray(picture[::-1, ::-1])


def turned_about(point, picture, landmarks, angle):
    """A picture and landmarks turned about a point, from x towards y."""
    linear = rotation(angle)
    shift = np.array(point) - linear @ point
    image = cv2.warpAffine(picture, np.column_stack([linear, shift]), picture.shape[1::-1])
    return image, (landmarks @ linear.T + shift).astype(np.float32)


def test_a_turned_box_is_another_box_and_one_turned_by_nothing_is_not():
    box = Box(1.0, 2.0, 3.0, 4.0)
    turned = TurnedBox(*box, math.pi)
    assert turned != box
    assert box != turned
    assert TurnedBox(*box, 0.0) == box
    assert box == TurnedBox(*box, 0.0)
    assert hash(TurnedBox(*box, 0.0)) == hash(box)
    known = {(0, box): "upright"}
    assert (0, turned) not in known


@pytest.mark.parametrize("degrees", [0, 80, -80, 100, -170, 280])
def test_upside_down_is_more_than_a_quarter_turn(degrees):
    expected = 90 < degrees % 360 < 270
    assert is_upside_down(TurnedBox(0.0, 0.0, 1.0, 1.0, math.radians(degrees))) is expected


@pytest.mark.parametrize(
    ("degrees", "turn"), [(0, 0), (22, 0), (-22, 0), (23, 45), (-61, -45), (179, 180), (-179, 180)]
)
def test_turns_are_never_off_by_more_than_half(degrees, turn):
    assert math.degrees(nearest_turn(math.radians(degrees))) == pytest.approx(turn)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, math.pi])
def test_landmarks_tell_how_a_face_is_turned(face, angle):
    turned = (face[1] @ rotation(angle).T).astype(np.float32)
    apart = landmark_angle(turned) - landmark_angle(face[1]) - angle
    assert math.cos(apart) == pytest.approx(1.0, abs=1e-9)
    assert abs(landmark_angle(face[1])) < 0.3


@pytest.mark.parametrize("turn", [TURN, -TURN, math.pi])
def test_a_box_around_turned_landmarks_is_that_of_upright_ones_turned(face, turn):
    def box_above_middle(landmarks):
        x, y = landmarks.mean(0)
        return Box(x - 10, y - 20, x + 10, y)

    upright = box_of_turned(box_above_middle, face[1], 0.0)
    landmarks = (face[1] @ rotation(turn).T).astype(np.float32)
    turned = box_of_turned(box_above_middle, landmarks, turn)
    assert upright == box_above_middle(face[1])
    middle = rotation(turn) @ [(upright[0] + upright[2]) / 2, (upright[1] + upright[3]) / 2]
    expected = [*(middle - 10), *(middle + 10)]
    np.testing.assert_allclose(turned, expected, atol=1e-4)
    assert angle_of(turned) == turn


@pytest.mark.dlib
@pytest.mark.parametrize(("turn", "pixels"), [(math.pi, 1e-3), (TURN, 1.0), (-TURN, 1.0)])
def test_dlib_gives_a_turned_face_the_landmarks_of_the_upright_one_turned(face, turn, pixels):
    picture, truth = face
    detector = load_detector("dlib")
    upright, confidence = detector.landmarks(picture, detector.box_of(truth))
    middle = np.round(truth.mean(0))
    image, landmarks = turned_about(middle, picture, truth, turn)
    _, expected = turned_about(middle, picture, upright, turn)
    box = detector.box_of(landmarks)
    found, same = detector.landmarks(image, box)
    assert nearest_turn(angle_of(box)) == pytest.approx(turn)
    # Turned by other than a half, pictures are sampled twice.
    assert same == pytest.approx(confidence, abs=1e-3 if turn == math.pi else 0.2)
    assert np.linalg.norm(found - expected, axis=1).mean() < pixels


def test_fan_sees_an_upside_down_box_as_the_picture_turned_over(face):
    picture, truth = face
    upright = crop_of(picture, crop_transform(landmark_box(truth)))
    turned = landmark_box((LAST - truth).astype(np.float32))
    assert is_upside_down(turned)
    seen = crop_of(over(picture), crop_transform(turned))
    # The middle of the box is on a grid, which the two lie on otherwise.
    apart = np.abs(seen.astype(int) - upright).mean()
    assert apart < 6 < np.abs(seen[::-1].astype(int) - upright).mean()
