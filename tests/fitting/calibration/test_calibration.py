"""Calibration finds the surface points that a detector of known habits marks."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.calibration.calibration import (
    CAMERA,
    Sample,
    calibrated,
    jaw_limits,
    landmark_candidates,
    residual_noise,
)
from glee.fitting.calibration.random_faces import random_face
from glee.fitting.morphable_model.landmark_scheme import MIRROR
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import MorphableModel, SurfacePoints
from glee.fitting.solver.problem import landmark_places

MODEL = load_model()


def _samples(model: MorphableModel, points: SurfacePoints, count: int) -> list[Sample]:
    """What a detector would find that marks exactly these points."""
    found = []
    for seed in range(count):
        mesh, pose = random_face(model, CAMERA, np.random.default_rng(seed))
        pixels = CAMERA.project(mesh, pose)
        detected = CAMERA.project(points.on(mesh), pose)
        jaw = landmark_places(model, mesh, pose, "anatomical")[:17]
        detected[:17] = CAMERA.project(jaw, pose)
        found.append(Sample(pixels, mesh, pose, detected))
    return found


@pytest.fixture(scope="module")
def habit() -> SurfacePoints:
    """Points beside the anatomical ones, left like right."""
    points = MODEL.landmarks["anatomical"]
    vertices, weights = points.vertices.copy(), points.weights.copy()
    for landmark in range(17, 68):
        other = int(MIRROR[landmark])
        if other < landmark:
            continue
        options = landmark_candidates(MODEL, points[landmark], middle=other == landmark)
        places = np.einsum("kcx,kc->kx", MODEL.mean[options.vertices], options.weights)
        apart = np.linalg.norm(places - points.on(MODEL.mean)[landmark], axis=1)
        best = int(np.abs(apart - 0.05).argmin())
        vertices[landmark], weights[landmark] = options.vertices[best], options.weights[best]
        if other != landmark:
            vertices[other] = MODEL.mirror[options.vertices[best]]
            weights[other] = options.weights[best]
    return SurfacePoints(vertices, weights)


def test_known_points_are_found_again(habit: SurfacePoints) -> None:
    points = calibrated(MODEL, _samples(MODEL, habit, 8))
    apart = np.linalg.norm(points.on(MODEL.mean) - habit.on(MODEL.mean), axis=1)[17:]
    moved = np.linalg.norm(
        MODEL.landmarks["anatomical"].on(MODEL.mean) - habit.on(MODEL.mean), axis=1
    )[17:]
    assert np.median(moved) > 0.03
    assert np.median(apart) < 0.01
    assert apart.max() < 0.02


def test_calibrated_points_are_left_like_right(habit: SurfacePoints) -> None:
    places = calibrated(MODEL, _samples(MODEL, habit, 4)).on(MODEL.mean)
    np.testing.assert_allclose(places[MIRROR] * (-1, 1, 1), places, atol=0.02)


def test_jaw_limit_is_where_the_detector_stops(habit: SurfacePoints) -> None:
    limits = jaw_limits(MODEL, _samples(MODEL, habit, 8))
    np.testing.assert_array_equal(limits, limits[::-1])
    lines = MODEL.jaw_candidates.on(MODEL.mean)
    ends = np.stack([line[limit] for line, limit in zip(lines, limits, strict=True)])
    outline = MODEL.landmarks["anatomical"].on(MODEL.mean)[:17]
    assert np.median(np.linalg.norm(ends - outline, axis=1)) < 0.12


def test_bias_and_covariance_are_those_put_in() -> None:
    rng = np.random.default_rng(0)
    truth = CAMERA.project(MODEL.landmarks["anatomical"].on(MODEL.mean), [0, 0, 0.4, 0, 0, -8.0])
    many = np.repeat(truth[None], 4000, 0)
    axis = truth[45] - truth[36]
    scale = np.linalg.norm(axis)
    x = axis / scale
    y = np.array([-x[1], x[0]])
    error = rng.normal(0.0, 1.0, (4000, 68, 1)) * 0.02 * y + 0.03 * y
    noise = residual_noise(many + scale * error, many, np.zeros(4000))
    bias, covariance = noise.bias, noise.covariance.astype(float)
    np.testing.assert_allclose(bias[:, 0], 0.0, atol=1e-3)
    np.testing.assert_allclose(bias[:, 1], 0.03, atol=1e-3)
    variance = np.diag(covariance).reshape(68, 2)
    np.testing.assert_allclose(variance[:, 1], 0.02**2, rtol=0.1)
    assert variance[:, 0].max() < 1e-8
    np.testing.assert_allclose(covariance, covariance.T)


def test_the_assets_calibration_is_whole() -> None:
    noise = MODEL.noise["dlib"]
    assert noise.bias.shape == (68, 2)
    assert noise.covariance.shape == (136, 136)
    assert np.linalg.eigvalsh(noise.covariance.astype(float)).min() > -1e-6
    for name in ("dlib", "mesh"):
        by_yaw = MODEL.noise[name].by_yaw
        assert by_yaw.bias.shape == (3, 68, 2)
        assert np.linalg.eigvalsh(by_yaw.covariance.astype(float)).min() > -1e-6
        # Left like right.
        np.testing.assert_allclose(by_yaw.bias[0, MIRROR] * (-1, 1), by_yaw.bias[2], atol=1e-6)
    points = MODEL.landmarks["dlib"]
    np.testing.assert_allclose(points.weights.sum(1), 1.0, atol=1e-5)
    apart = points.on(MODEL.mean) - MODEL.landmarks["anatomical"].on(MODEL.mean)
    assert np.linalg.norm(apart[17:], axis=1).max() < 0.17
