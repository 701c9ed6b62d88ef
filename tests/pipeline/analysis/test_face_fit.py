"""The fit of an analysis weighs the ridge as `fit3d` does."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.camera import Camera
from glee.fitting.fit import fit
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.analysis.face_fit import FaceFitter
from glee.pipeline.analysis.face_stream import FaceFrame
from glee.pipeline.landmarks.tracking import TrackedFrame
from glee.pipeline.options import Fit3dOptions

SIZE = (320, 240)
PLAIN = Fit3dOptions()


@pytest.fixture(scope="module")
def landmarks():
    """Projected landmarks of one person, 40 frames, with an error of 0.6 pixels, (40, 68, 2)."""
    model, camera, random = load_model(), Camera.for_image(*SIZE), np.random.default_rng(3)
    shape = random.normal(0, 1, len(model.identity)).astype(np.float32)
    frames = []
    for _ in range(40):
        f_exp = random.uniform(0, 1, len(model.expression)) * (random.random(51) < 0.3)
        pose = np.append(random.normal(0, 0.2, 3), [0.0, 0.0, -12.0])
        mesh = model.shape(shape, f_exp.astype(np.float32))
        frames.append(camera.project(landmark_places(model, mesh, pose, "anatomical"), pose))
    return (np.stack(frames) + random.normal(0, 0.6, (40, 68, 2))).astype(np.float32)


@pytest.fixture(scope="module")
def faces(landmarks):
    return [face_of(frame, points) for frame, points in enumerate(landmarks)]


def face_of(frame, points):
    tracked = TrackedFrame(landmarks=points, confidence=1.0, reason="ok")
    return FaceFrame(frame, frame / 20.0, 0, tracked, SIZE, np.full((2, 2), np.nan, np.float32))


def test_without_a_prior_the_weights_are_those_that_the_landmarks_ask_for(faces, landmarks):
    fitter = FaceFitter.of("none", PLAIN)
    identity = fitter.identity(faces)
    joint = fit(landmarks, load_model(), camera=Camera.for_image(*SIZE), identity_frames=48)
    assert identity.landmark_error == pytest.approx(joint.landmark_error[0], rel=0.1)
    rows = fitter.rows(faces[:10], identity)
    assert rows.landmark_error == pytest.approx(identity.landmark_error)
    assert np.median(np.abs(rows.f_exp - joint.f_exp[:10])) < 0.02


def test_what_is_given_or_comes_with_a_prior_stays(faces):
    for made in (
        Fit3dOptions(expression_weight=1e-3, shape_weight=1e-3),
        Fit3dOptions(prior=True),
        Fit3dOptions(robust="huber"),
    ):
        fitter = FaceFitter.of("none", made)
        identity = fitter.identity(faces)
        assert identity.landmark_error is None
        assert np.isnan(fitter.rows(faces[:2], identity).landmark_error).all()


def test_frames_with_identities_of_their_own_do_not_depend_on_their_block(faces):
    fitter = FaceFitter.of("none", PLAIN)
    together = fitter.rows(faces[:4], None)
    apart = fitter.rows(faces[2:4], None)
    assert np.array_equal(together.f_exp[2:], apart.f_exp)
