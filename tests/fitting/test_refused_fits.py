"""What the public fit refuses, and what it does not take for a face."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.fitting.camera import Camera
from glee.fitting.fit import ExpressionPrior, FitOptions, LandmarkNoise, fit

CAMERA = Camera.for_image(640, 480)


def test_nonsense_is_not_fitted(model):
    random = np.random.default_rng(5)
    result = fit(random.uniform(0, 480, (5, 68, 2)), model, camera=CAMERA)
    assert not result.converged.any()
    assert np.isnan(result.f_exp).all()
    nothing = fit(np.full((3, 68, 2), np.nan), model, camera=CAMERA)
    assert not nothing.converged.any()
    same = fit(np.full((2, 68, 2), 100.0), model, camera=CAMERA)
    assert not same.converged.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"landmarks": np.zeros((3, 67, 2))}, "68"),
        ({"identity": "nobody"}, "identity"),
        ({"weights": np.ones((2, 68))}, "weights"),
        ({"weights": -np.ones((3, 68))}, "negative"),
        ({"subject": ["a"]}, "subject"),
        ({"f_shape": np.zeros(10)}, "f_shape"),
        ({"camera": None, "landmarks": np.full((3, 68, 2), np.nan)}, "finite"),
        ({"temporal": 1.0, "identity": "frame"}, "temporal"),
        ({"options": FitOptions(), "bounds": False}, "exclude"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_arguments(model, arguments, message):
    every = {"landmarks": np.zeros((3, 68, 2)), "camera": CAMERA, **arguments}
    with pytest.raises(UsageError, match=message):
        fit(every.pop("landmarks"), model, **every)


@pytest.mark.parametrize(
    "options",
    [
        {"robust": "tukey"},
        {"regularisation": (-1.0, 0.0)},
        {"tolerance": 0.0},
        {"iterations": 0},
        {"robust": "huber", "noise": LandmarkNoise(np.zeros((68, 2)), np.eye(136))},
    ],
)
def test_wrong_options(options):
    with pytest.raises(UsageError):
        FitOptions(**options)


def test_shapes_of_noise_and_prior_are_checked(model):
    landmarks = np.zeros((1, 68, 2))
    for options in (
        FitOptions(noise=LandmarkNoise(np.zeros((68, 2)), np.eye(4))),
        FitOptions(noise=LandmarkNoise(np.zeros(3), np.eye(136))),
        FitOptions(prior=ExpressionPrior(np.zeros(3), np.eye(3))),
    ):
        with pytest.raises(UsageError):
            fit(landmarks, model, camera=CAMERA, options=options)


def test_unknown_landmark_set(model):
    with pytest.raises(DataError, match="anatomical"):
        fit(np.zeros((1, 68, 2)), model, camera=CAMERA, landmark_set="no such")
