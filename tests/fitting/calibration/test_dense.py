"""The calibration of dense points finds the places that a detector of known habits marks."""

from __future__ import annotations

import numpy as np

from glee.fitting.calibration.calibration import CAMERA, Sample
from glee.fitting.calibration.dense import calibrated_dense, dense_samples
from glee.fitting.calibration.random_faces import random_face
from glee.fitting.dense_points import load_dense_points
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.fitting.morphable_model.model_file import load_model

MODEL = load_model()
ERROR = 0.005


def test_known_places_and_errors_are_found():
    habit, random = load_dense_points(MODEL)[:60], np.random.default_rng(4)
    found, dense = [], []
    for seed in range(60):
        mesh, pose = random_face(MODEL, CAMERA, np.random.default_rng(seed))
        landmarks = CAMERA.project(MODEL.landmarks["anatomical"].on(mesh), pose)
        unit = inter_ocular_distance(landmarks)
        found.append(Sample(CAMERA.project(mesh, pose), mesh, pose, landmarks))
        exact = CAMERA.project(habit.places.on(mesh), pose)
        dense.append(exact + ERROR * unit * random.normal(size=exact.shape))
    laid = calibrated_dense(MODEL, found, np.stack(dense))
    apart = np.linalg.norm(laid.places.on(MODEL.mean) - habit.places.on(MODEL.mean), axis=1)
    assert np.median(apart) < 0.003
    assert apart.max() < 0.03
    np.testing.assert_allclose(laid.deviation, ERROR, rtol=0.25)
    np.testing.assert_allclose(laid.places.weights.sum(1), 1.0, atol=1e-5)


def test_samples_keep_the_dense_points_of_their_own_picture():
    asked = []

    def detect(image):
        number = len(asked)
        asked.append(image)
        if number == 1:
            return None
        # The truth of this render, from its seed: see `samples`.
        mesh, pose = random_face(MODEL, CAMERA, np.random.default_rng([8, 1, number]))
        landmarks = CAMERA.project(MODEL.landmarks["anatomical"].on(mesh), pose)
        return landmarks, np.full((3, 2), float(number))

    found, dense = dense_samples(MODEL, detect, 3, seed=8)
    assert len(found) == 2
    assert [one[0, 0] for one in dense] == [0.0, 2.0]
