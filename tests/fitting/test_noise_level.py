"""The error of landmarks, estimated from a subject's frames, and the weights it asks for."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.camera import Camera
from glee.fitting.fit import ExpressionPrior, FitOptions, fit

CAMERA = Camera.for_image(640, 480)
POINTS = FitOptions(curves=False)


@pytest.mark.parametrize("share", [0.005, 0.02])
def test_finds_the_error_that_was_added(model, make_subject, share):
    result = fit(make_subject(31, 30, share).landmarks, model, camera=CAMERA, options=POINTS)
    np.testing.assert_allclose(result.landmark_error, share, rtol=0.08)


def test_the_weights_it_asks_for_recover_more_than_the_papers(model, make_subject):
    subject = make_subject(32, 30, 0.01)
    apart = {}
    for weights in (None, (1e-4, 1e-4)):
        options = FitOptions(curves=False, regularisation=weights)
        found = fit(subject.landmarks, model, camera=CAMERA, options=options).f_exp
        apart[weights] = np.square(found - subject.f_exp).mean()
    assert apart[None] < 0.8 * apart[1e-4, 1e-4]


def test_frames_apart_find_it_too_and_recover_more(model, make_subject):
    people = [make_subject(60 + i, 5, 0.01) for i in range(8)]
    landmarks = np.concatenate([person.landmarks for person in people])
    truth = np.concatenate([person.f_exp for person in people])
    apart = {}
    for weights in (None, (1e-4, 1e-4)):
        options = FitOptions(curves=False, regularisation=weights)
        result = fit(landmarks, model, camera=CAMERA, identity="frame", options=options)
        apart[weights] = np.square(result.f_exp - truth).mean()
        if weights is None:
            np.testing.assert_allclose(result.landmark_error, 0.01, rtol=0.15)
    assert apart[None] < 0.8 * apart[1e-4, 1e-4]


def test_a_given_error_stands_for_the_estimated_one(model, make_subject):
    landmarks = make_subject(33, 30, 0.01).landmarks
    first = fit(landmarks, model, camera=CAMERA, options=POINTS)
    error = float(first.landmark_error[0])
    options = FitOptions(curves=False, landmark_error=error)
    again = fit(landmarks, model, camera=CAMERA, f_shape=first.f_shape[0], options=options)
    np.testing.assert_allclose(again.f_exp, first.f_exp, atol=2e-3)
    np.testing.assert_array_equal(again.landmark_error, error)


def test_one_frame_leans_to_the_papers_weight(model, make_subject):
    result = fit(make_subject(34, 1, 0.05).landmarks, model, camera=CAMERA, options=POINTS)
    assert 0.0035 < result.landmark_error[0] < 0.05


@pytest.mark.parametrize(
    "settings",
    [{"regularisation": (1e-4, 1e-4)}, {"robust": "huber"}, {"prior": True}],
)
def test_is_not_asked_for_where_weights_are_given(model, make_subject, settings):
    if "prior" in settings:
        settings = {"prior": ExpressionPrior(np.zeros(51), np.eye(51))}
    result = fit(make_subject(35, 4).landmarks, model, camera=CAMERA, **settings)
    assert np.isnan(result.landmark_error).all()


@pytest.mark.parametrize(
    "settings", [{"landmark_error": 0.0}, {"landmark_error": 0.01, "robust": "huber"}]
)
def test_refuses_what_makes_no_sense(settings):
    with pytest.raises(UsageError, match="landmark_error"):
        FitOptions(**settings)
