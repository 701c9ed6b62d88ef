"""JAA-Net's alignment against a case worked out by hand, and under similarities of the source."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.pipeline.images.crops import (
    align,
    alignment_transform,
    face_view,
    five_points,
    transform_points,
)


def hand_face():
    """Eyes' middles at (100, 100) and (160, 100), nose tip (130, 130), mouth corners at y = 160."""
    landmarks = np.zeros((68, 2))
    offsets = np.array([[-6, 0], [-3, -2], [3, -2], [6, 0], [3, 2], [-3, 2]])
    landmarks[36:42] = offsets + [100, 100]
    landmarks[42:48] = offsets + [160, 100]
    landmarks[30] = 130, 130
    landmarks[48] = 110, 160
    landmarks[54] = 150, 160
    return landmarks


def test_hand_computed_case():
    # Extents: x 100..160, y 100..160, so the half side is 0.5 * 2.9 * 60 = 87 around (130, 130);
    # 174 pixels become the 199 between the first and the last pixel centre of the crop.
    transform = alignment_transform(hand_face())
    scale = 199 / 174
    np.testing.assert_allclose(
        transform, [[scale, 0, scale * (87 - 130)], [0, scale, scale * (87 - 130)]], atol=1e-12
    )
    np.testing.assert_allclose(transform_points([43, 43], transform), [0, 0], atol=1e-9)
    np.testing.assert_allclose(transform_points([217, 217], transform), [199, 199], atol=1e-9)


def test_larger_extent_decides():
    landmarks = hand_face()
    landmarks[[48, 54], 1] = 190
    transform = alignment_transform(landmarks)
    assert transform[0, 0] == pytest.approx(199 / (2.9 * 90))
    np.testing.assert_allclose(transform_points([130, 145], transform), [99.5, 99.5])


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, 3.0])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_aligned_points_do_not_depend_on_a_similarity_of_the_source(angle, factor):
    landmarks = hand_face() + np.random.default_rng(1).normal(0, 2, (68, 2))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = factor * landmarks @ rotation.T + [35, -80]
    expected = transform_points(landmarks, alignment_transform(landmarks))
    np.testing.assert_allclose(
        transform_points(moved, alignment_transform(moved)), expected, atol=1e-8
    )


def test_eyes_become_level_by_a_similarity():
    landmarks = hand_face() @ np.array([[0.9, 0.3], [-0.2, 1.1]])
    transform = alignment_transform(landmarks)
    right, left = transform_points(five_points(landmarks)[:2], transform)
    assert right[1] == pytest.approx(left[1])
    assert left[0] > right[0]
    linear = transform[:, :2]
    np.testing.assert_allclose(
        linear @ linear.T, np.eye(2) * np.linalg.det(linear), rtol=1e-12, atol=1e-12
    )


def test_crop_shows_the_source_where_the_transform_says_and_grey_beyond():
    image = np.zeros((240, 260, 3), np.uint8)
    image[..., 0] = np.minimum(np.arange(260), 255)[None, :]
    image[..., 1] = np.arange(240, dtype=np.uint8)[:, None]
    transform = alignment_transform(hand_face())
    crop = align(image, transform, 200)
    inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))[:2]
    x, y = transform_points([120, 60], inverse)
    assert crop[60, 120, 0] == pytest.approx(x, abs=1)
    assert crop[60, 120, 1] == pytest.approx(y, abs=1)
    beyond = align(image, alignment_transform(hand_face() - [100, 0]), 200)
    assert (beyond[100, 0] == 128).all()


def test_no_alignment_without_eyes():
    landmarks = hand_face()
    landmarks[42:48] = landmarks[36:42]
    with pytest.raises(ValueError, match="eyes"):
        alignment_transform(landmarks)
    landmarks = hand_face()
    landmarks[30] = np.nan
    with pytest.raises(ValueError, match="finite"):
        alignment_transform(landmarks)


def test_views_are_opencv_s_own_to_the_bit():
    """Turned, of any size, at the borders and beyond: as warpAffine of the three channels."""
    rng = np.random.default_rng(8)
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for _ in range(150):
        angle, scale = rng.uniform(-3, 3), np.exp(rng.uniform(-1.5, 1.5))
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = rng.uniform(-60, 60, 2) + rng.uniform(0, [160, 120])
        transform = np.column_stack([turn, 32 - turn @ middle])
        for border, how in ((None, cv2.BORDER_REPLICATE), (128, cv2.BORDER_CONSTANT)):
            grey = (128, 128, 128)
            wanted = cv2.warpAffine(image, transform, (64, 64), borderMode=how, borderValue=grey)
            np.testing.assert_array_equal(face_view(image, transform, 64, 1, border), wanted)
        np.testing.assert_array_equal(align(image, transform, 64), wanted)
