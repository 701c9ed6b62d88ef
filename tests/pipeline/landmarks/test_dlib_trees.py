"""Our reading and evaluation of dlib's landmark model against dlib's own, on the same images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.errors import WeightsError
from glee.pipeline.landmarks.dlib_backend import dlib_module, model_path
from glee.pipeline.landmarks.dlib_trees import evaluate, read_landmark_trees

pytestmark = pytest.mark.dlib

BOXES = [(100, 60, 299, 259), (40, 90, 163, 213), (-30, 20, 120, 170), (250, 150, 520, 420)]


@pytest.fixture(scope="module")
def trees():
    return read_landmark_trees(model_path())


@pytest.fixture(scope="module")
def dlib():
    return dlib_module()


@pytest.fixture(scope="module")
def predictor(dlib):
    return dlib.shape_predictor(str(model_path()))


def rough(seed, size=(400, 300)):
    """Smooth noise with edges: whatever is in it, the trees must go the same way."""
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32), np.uint8)
    return cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)


def ours(trees, image, box, *, nearest):
    left, top, right, bottom = (float(side) for side in box)
    return evaluate(trees, image, left, top, right - left, bottom - top, nearest)


@pytest.mark.parametrize("box", BOXES)
def test_rounded_landmarks_are_those_of_dlib(dlib, trees, predictor, box):
    for seed in range(5):
        image = rough(seed)
        parts = predictor(image, dlib.rectangle(*box)).parts()
        points = ours(trees, image, box, nearest=True)
        np.testing.assert_array_equal(np.floor(points + 0.5), [(p.x, p.y) for p in parts])


def test_between_pixels_a_small_face_gives_what_dlib_gives_of_a_large_one(
    dlib, trees, predictor, real_folder
):
    large = cv2.imread(str(real_folder / "single_face.jpg"), cv2.IMREAD_GRAYSCALE)
    (box, *_) = dlib.get_frontal_face_detector()(large)
    parts = predictor(large, box).parts()
    small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half = [side / 2 - 0.25 for side in (box.left(), box.top(), box.right(), box.bottom())]
    points = 2 * ours(trees, small, half, nearest=False) + 0.5
    error = np.linalg.norm(points - [(p.x, p.y) for p in parts], axis=1)
    assert error.mean() / box.width() < 0.01


def test_a_cut_or_altered_file_is_refused(tmp_path):
    whole = model_path().read_bytes()
    for content in (b"", whole[:5_000_000], b"\x01\x02" + whole[2:9_000_000], whole[:-3]):
        (tmp_path / "cut.dat").write_bytes(content)
        with pytest.raises(WeightsError, match=r"cut\.dat: is not dlib's model of 68 landmarks"):
            read_landmark_trees(tmp_path / "cut.dat")
    with pytest.raises(WeightsError, match=r"gone\.dat: cannot be read"):
        read_landmark_trees(tmp_path / "gone.dat")
