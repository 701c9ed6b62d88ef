"""Synthetic subjects with known truth for the tests of the fitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.solver.problem import landmark_places

SIZE = (640, 480)


@dataclass(frozen=True, eq=False)
class SyntheticSubject:
    """f_shape: (60,); f_exp: (n, 51); pose: (n, 6); landmarks: (n, 68, 2) pixels."""

    f_shape: NDArray[np.float64]
    f_exp: NDArray[np.float64]
    pose: NDArray[np.float64]
    landmarks: NDArray[np.float64]


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    return load_model()


@pytest.fixture(scope="session")
def make_subject(model):
    camera = Camera.for_image(*SIZE)

    def make(seed: int, frames: int = 20, noise: float = 0.0, yaw: float = 0.2) -> SyntheticSubject:
        """noise: standard deviation of the landmarks in inter-ocular distances."""
        random = np.random.default_rng(seed)
        f_shape = np.clip(random.normal(size=60), -2.5, 2.5)
        shown = random.random((frames, 51)) < 0.25
        f_exp = np.where(shown, random.random((frames, 51)), 0.0)
        pose = np.concatenate(
            [
                random.normal(0, [0.1, yaw, 0.1], (frames, 3)),
                random.normal([0, 0, -9], 0.4, (frames, 3)),
            ],
            axis=1,
        )
        landmarks = np.stack(
            [
                camera.project(
                    landmark_places(model, model.shape(f_shape, f_exp[i]), pose[i], "anatomical"),
                    pose[i],
                )
                for i in range(frames)
            ]
        )
        unit = inter_ocular_distance(landmarks)[:, None, None]
        landmarks += noise * unit * random.normal(size=landmarks.shape)
        return SyntheticSubject(f_shape, f_exp, pose, landmarks)

    return make
