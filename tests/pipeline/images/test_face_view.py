"""Views against the same square drawn finer and averaged, and against pixels counted by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.pipeline.images.crops import face_view


def smooth_image(rng, height, width):
    image = rng.uniform(0, 255, (height // 16, width // 16, 3)).astype(np.float32)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def similarity(scale, degrees, middle, side):
    turn = scale * cv2.getRotationMatrix2D((0, 0), degrees, 1)[:, :2]
    return np.column_stack([turn, side / 2 - 0.5 - turn @ np.array(middle)])


def drawn_finer(image, transform, side, times, border):
    fine = times * transform
    fine[:, 2] += (times - 1) / 2
    how = {"borderMode": cv2.BORDER_REPLICATE} if border is None else {"borderValue": (border,) * 3}
    large = cv2.warpAffine(image, fine, (times * side, times * side), **how)
    return cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("border", [None, 128])
@pytest.mark.parametrize("middle", [(230.4, 170.7), (12.0, 300.0), (452.0, 8.0)])
@pytest.mark.parametrize(("shrink", "degrees"), [(1, 10.0), (2, 0.0), (3, 25.0), (4, -80.0)])
def test_shows_what_the_square_drawn_finer_shows(border, middle, shrink, degrees):
    image = smooth_image(np.random.default_rng(shrink), 320, 464).astype(np.uint8)
    transform = similarity(0.9 / shrink, degrees, middle, 64)
    view = face_view(image, transform, 64, shrink, border)
    apart = np.abs(view.astype(float) - drawn_finer(image, transform, 64, shrink, border))
    # A grey border begins somewhere inside a block.
    assert np.median(apart) <= 1.0
    assert np.mean(apart > 6.0) < (0.02 if border is None else 0.04)


def test_each_pixel_is_the_mean_of_its_block():
    image = np.random.default_rng(5).integers(0, 256, (47, 61, 3), np.uint8)
    # Block (3, 5) of 2 x 2 pixels becomes pixel (0, 0).
    transform = np.array([[0.5, 0.0, -5.25], [0.0, 0.5, -3.25]])
    view = face_view(image, transform, 4, 2, None)
    blocks = image[6:14, 10:18].astype(float).reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(view, blocks, atol=0.51)


@pytest.mark.parametrize("middle", [(-500.0, 90.0), (90.0, 5000.0)])
def test_beyond_the_image_there_is_its_border(middle):
    image = np.full((100, 120, 3), 200, np.uint8)
    transform = similarity(0.3, 5.0, middle, 32)
    assert (face_view(image, transform, 32, 3, 77) == 77).all()
    assert (face_view(image, transform, 32, 3, None) == 200).all()
