"""Backends are found by name; the dlib backend finds known faces, and says what is missing."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
from importlib import metadata

import cv2
import numpy as np
import pytest

from glee.errors import UsageError, WeightsError
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.pipeline.landmarks import backends, dlib_backend
from glee.pipeline.landmarks.backends import chosen_detector, detector_names, load_detector
from glee.pipeline.landmarks.detector import Box, overlap


def test_unknown_detector_names_the_known_ones():
    with pytest.raises(UsageError, match=r"'dlip' is unknown; known are:.*dlib"):
        load_detector("dlip")
    with pytest.raises(UsageError, match=r"known are: auto, mesh, dlib, fan, .*mesh\+refiner"):
        load_detector("foo+refiner")


def test_a_backend_of_others_is_found_by_entry_point(monkeypatch):
    entry = metadata.EntryPoint("scripted", "fractions:Fraction", backends.ENTRY_POINT_GROUP)

    def entry_points(**wanted):
        assert wanted["group"] == "glee.landmark_backends"
        return metadata.EntryPoints([entry]).select(**wanted)

    monkeypatch.setattr(backends.metadata, "entry_points", entry_points)
    assert "scripted" in detector_names()
    load_detector.cache_clear()
    assert load_detector("scripted") == 0
    load_detector.cache_clear()


def without_mesh(name, settings):
    if name.startswith("mesh"):
        raise WeightsError("mesh_weights.npz is missing")
    return load_detector(name)


def test_auto_is_the_best_backend_that_is_there():
    assert chosen_detector("dlib") == "dlib"
    assert chosen_detector("auto") == "mesh"


@pytest.mark.dlib
def test_auto_is_dlib_where_mesh_is_not_there(monkeypatch):
    monkeypatch.setattr(backends, "load_detector", without_mesh)
    assert chosen_detector("auto") == "dlib"


@pytest.fixture
def no_dlib(monkeypatch):
    """As in an installation without the extra dlib."""
    monkeypatch.setattr(dlib_backend, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "dlib", None)
    load_detector.cache_clear()
    yield
    load_detector.cache_clear()


def test_without_the_extra_dlib_one_line_names_it(no_dlib, monkeypatch):
    with pytest.raises(WeightsError, match=r"shape_predictor_68.*'\.\[dlib\]'") as caught:
        load_detector("dlib")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=r"needs the extra dlib.*pip install '\.\[dlib\]'"):
        dlib_backend.dlib_module()
    assert chosen_detector("auto") == "mesh"
    monkeypatch.setattr(backends, "load_detector", without_mesh)
    with pytest.raises(WeightsError, match=r"^mesh_weights\.npz is missing$"):
        chosen_detector("auto")


def test_the_pipeline_does_not_import_dlib_before_it_is_asked_for():
    code = (
        "import sys, glee.pipeline.preprocess, glee.pipeline.landmarks.dlib_backend;"
        "from glee.pipeline.landmarks import load_detector; load_detector('mesh');"
        "sys.exit('dlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_and_broken_model_file(monkeypatch, tmp_path):
    spec = importlib.machinery.ModuleSpec("face_recognition_models", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(dlib_backend, "find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match=r"models: shape_predictor_68_face_landmarks\.dat is"):
        dlib_backend.DlibDetector()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / dlib_backend.MODEL_FILE).write_bytes(b"cut" * 1000)
    with pytest.raises(
        WeightsError, match=r"is not dlib's model of 68 landmarks, or damaged"
    ) as caught:
        dlib_backend.DlibDetector()
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def face(real_folder):
    image = cv2.imread(str(real_folder / "single_face.jpg"))
    return np.ascontiguousarray(image[..., ::-1])


@pytest.mark.dlib
def test_landmarks_follow_a_moved_and_resized_face(face):
    detector = load_detector("dlib")
    (box, score), *_ = detector.detect(face)
    assert 0.5 < score <= 1
    points, confidence = detector.landmarks(face, box)
    assert confidence > 0.9
    distance = inter_ocular_distance(points)
    padded = cv2.copyMakeBorder(face, 40, 0, 70, 0, cv2.BORDER_REPLICATE)
    moved = Box(box.left + 70, box.top + 40, box.right + 70, box.bottom + 40)
    difference = detector.landmarks(padded, moved)[0] - [70, 40] - points
    assert np.abs(difference).mean() / distance < 0.005
    large = cv2.resize(face, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    difference = detector.landmarks(large, Box(*(2 * side for side in box)))[0] / 2 - points
    assert np.abs(difference).mean() / distance < 0.02


@pytest.mark.dlib
def test_landmarks_are_finer_than_a_pixel(face):
    small = cv2.resize(face, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    detector = load_detector("dlib")
    (box, _), *_ = detector.detect(small, thorough=True)
    points, _ = detector.landmarks(small, box)
    assert (np.abs(points - points.round()) > 0.05).mean() > 0.5


@pytest.mark.dlib
def test_small_faces_are_found_by_a_thorough_search_only(face):
    scene = np.full((480, 640, 3), 90, np.uint8)
    scene[200:360, 300:460] = cv2.resize(face, (160, 160), interpolation=cv2.INTER_AREA)
    detector = load_detector("dlib")
    assert detector.detect(scene) == []
    (box, _), *_ = detector.detect(np.ascontiguousarray(scene), thorough=True)
    assert 300 <= box.left < box.right <= 460


@pytest.mark.dlib
def test_the_box_of_landmarks_is_about_the_detected_one(face):
    detector = load_detector("dlib")
    (box, _), *_ = detector.detect(face)
    points, _ = detector.landmarks(face, box)
    assert overlap(box, detector.box_of(points)) > 0.7


@pytest.mark.dlib
def test_box_at_the_image_border_and_beyond(face):
    detector = load_detector("dlib")
    for box in (Box(-300, -300, -10, -10), Box(500, 500, 900, 900), Box(5, 5, 5, 5)):
        points, confidence = detector.landmarks(face, box)
        assert np.isfinite(points).all()
        assert 0 <= confidence <= 1


def test_overlap():
    box = Box(0, 0, 10, 10)
    assert overlap(box, box) == 1
    assert overlap(box, Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap(box, Box(20, 0, 30, 10)) == 0
    assert overlap(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0
