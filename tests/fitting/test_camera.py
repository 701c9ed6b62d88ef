"""Camera and rotations against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from glee.errors import UsageError
from glee.fitting.camera import Camera, rotation_matrix, rotation_vector


def test_rotations_agree_with_scipy():
    vectors = np.random.default_rng(1).normal(size=(200, 3)) * 1.7
    vectors[0], vectors[1] = 0.0, [1e-9, 0.0, 0.0]
    matrices = rotation_matrix(vectors)
    np.testing.assert_allclose(matrices, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)
    short = Rotation.from_matrix(matrices).as_rotvec()
    np.testing.assert_allclose(rotation_vector(matrices), short, atol=1e-9)


def test_projection_by_hand():
    camera = Camera(width=640, height=480, focal=1000.0)
    # 10 dm in front of the camera, 1 dm to its right and 2 dm up: 100 pixels right, 200 up.
    point = np.array([[1.0, 2.0, 0.0]])
    image = camera.project(point, [0, 0, 0, 0, 0, -10.0])
    np.testing.assert_allclose(image, [[319.5 + 100, 239.5 - 200]])


def test_turning_the_head_to_its_left_moves_the_nose_to_the_image_right():
    camera = Camera.for_image(640, 480)
    nose = np.array([[0.0, 0.0, 1.0]])
    turned = camera.project(nose, [0, np.radians(20), 0, 0, 0, -10.0])
    assert turned[0, 0] > 340
    assert turned[0, 1] == pytest.approx(239.5)


def test_points_behind_the_camera_are_nan():
    image = Camera.for_image(640, 480).project(np.zeros((1, 3)), [0, 0, 0, 0, 0, 1.0])
    assert np.isnan(image).all()


def test_default_focal_length():
    assert Camera.for_image(1024, 768).focal == 1536.0


@pytest.mark.parametrize(("size", "focal"), [((0, 480), None), ((640, 480), -1.0)])
def test_bad_cameras(size, focal):
    with pytest.raises(UsageError):
        Camera.for_image(*size, focal)
