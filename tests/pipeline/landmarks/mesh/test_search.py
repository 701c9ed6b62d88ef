"""Small faces in large pictures: what is looked at, and what is found there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.detector import Box, overlap
from glee.pipeline.landmarks.mesh.points import landmarks_from_mesh
from glee.pipeline.landmarks.mesh.search import scales, unknown, windows
from glee.pipeline.landmarks.tracking import FaceTracker

REFERENCE = Path(__file__).parent / "mesh_reference" / "mediapipe_reference.npz"


@pytest.fixture(scope="module")
def detector():
    return load_detector("mesh")


@pytest.fixture(scope="module")
def face():
    """A rendered face (192, 192, 3) and its 68 landmarks."""
    with np.load(REFERENCE) as file:
        return file["picture"], landmarks_from_mesh(file["picture_points"] * np.float32(0.75))


def laid(picture, face, distance, left, top):
    """Lay the face into a picture, its outer eye corners so far apart. Returns its landmarks."""
    pixels, landmarks = face
    scale = distance / float(inter_ocular_distance(landmarks))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture[top : top + len(small), left : left + small.shape[1]] = small
    return (landmarks + 0.5) * scale - 0.5 + [left, top]


@pytest.fixture
def full_hd():
    """A shaded picture without a face."""
    down, across = np.mgrid[0:1080, 0:1920]
    grey = 90 + 40 * np.sin(across / 300) + 20 * np.cos(down / 200)
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def box_around(landmarks):
    return Box(*landmarks.min(0), *landmarks.max(0))


def nearest(found, truth):
    return max(found, key=lambda box: overlap(box, box_around(truth)))


@pytest.mark.parametrize("size", [(360, 640), (1080, 1920), (2160, 3840), (6000, 9000)])
def test_scales_rise_and_their_cost_is_bounded(size):
    found = scales(*size)
    assert found == sorted(found)
    assert sum(scale**2 for scale in found) * size[0] * size[1] < 4.1e6
    # No gap: beside the whole picture in 128 pixels, each is at most twice or so the one before.
    steps = np.diff(np.log2([128 / max(size), *found]))
    assert steps.max() < 1.5


def test_small_pictures_are_seen_as_a_whole():
    assert scales(128, 128) == []
    assert scales(1, 1) == []


def test_windows_show_every_pixel_in_its_place(full_hd):
    seen = np.zeros((648, 1152), bool)
    whole = cv2.resize(full_hd, (1152, 648), interpolation=cv2.INTER_AREA)
    for window in windows(full_hd, 0.6):
        tall, wide = window.pixels.shape[:2]
        assert tall % 16 == wide % 16 == 0
        part = whole[window.top : window.top + tall, window.left : window.left + wide]
        np.testing.assert_array_equal(window.pixels[: len(part), : part.shape[1]], part)
        seen[window.top : window.top + tall, window.left : window.left + wide] = True
    assert seen.all()


@pytest.mark.parametrize("distance", [20, 30, 60])
def test_a_small_face_beside_a_large_one(detector, face, full_hd, distance):
    large = laid(full_hd, face, 200, 200, 300)
    # Over the seam of two windows, too.
    small = [laid(full_hd, face, distance, 1300, top) for top in (100, 330, 700)]
    found = [box for box, _ in detector.detect(full_hd, thorough=True)]
    assert len(found) == 4
    for truth in (large, *small):
        box = nearest(found, truth)
        assert overlap(box, box_around(truth)) > 0.5
        landmarks, confidence = detector.landmarks(full_hd, box)
        assert confidence > 0.9
        error = np.linalg.norm(landmarks - truth, axis=1).mean()
        assert error < 0.06 * inter_ocular_distance(truth)
    assert len(detector.detect(full_hd)) == 1


def test_what_the_mesh_does_not_confirm_is_no_face(detector, face, full_hd):
    """A mouth without a face, a face's pixels in disorder, and its picture in a few squares."""
    pixels, _ = face
    rng = np.random.default_rng(3)
    full_hd[600:640, 1000:1192] = pixels[130:170]
    full_hd[100:292, 100:292] = np.kron(pixels[::48, ::48], np.ones((48, 48, 1), np.uint8))
    full_hd[400:592, 400:592] = rng.permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
    assert detector.detect(full_hd, thorough=True) == []


def test_one_face_is_found_once():
    known = [(Box(0, 0, 100, 100), 0.9)]
    part = (Box(20, 20, 60, 60), 0.99)
    beside = (Box(90, 0, 150, 60), 0.8)
    again = (Box(92, 2, 148, 62), 0.7)
    assert unknown([again, part, beside], known) == [beside]


def test_the_tracker_follows_a_small_face_from_the_first_frame(detector, face, full_hd):
    truth = laid(full_hd, face, 30, 900, 500)
    tracker = FaceTracker(detector)
    results = [tracker.follow(full_hd) for _ in range(3)]
    assert [result.reason for result in results] == ["ok"] * 3
    for result in results:
        error = np.linalg.norm(result.landmarks - truth, axis=1).mean()
        assert error < 0.05 * inter_ocular_distance(truth)
    # The first frame's box has settled: the next frame's landmarks are where its own are.
    moved = np.linalg.norm(results[1].landmarks - results[0].landmarks, axis=1).mean()
    assert moved < 0.01 * inter_ocular_distance(truth)
