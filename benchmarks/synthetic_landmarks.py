"""Random subjects with known truth for the fitting benchmarks: every choice from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import CURVES, inter_ocular_distance
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.solver.problem import landmark_places

SIZE = (1024, 768)


@dataclass(frozen=True, eq=False)
class Subject:
    """f_shape: (s,); f_exp: (n, e); pose: (n, 6); landmarks: (n, 68, 2) pixels, no noise."""

    f_shape: NDArray[np.float64]
    f_exp: NDArray[np.float64]
    pose: NDArray[np.float64]
    landmarks: NDArray[np.float64]


def random_subject(
    model: MorphableModel, frames: int, random: np.random.Generator, *, smooth: bool = False
) -> Subject:
    """Each frame shows a quarter of the blendshapes; smooth: as a video of slow changes does."""
    shapes, expressions = len(model.identity), len(model.expression)
    f_shape = np.clip(random.normal(size=shapes), -2.5, 2.5)
    if smooth:
        f_exp, turn = _waves(random, frames, expressions), _waves(random, frames, 3)
        pose = np.zeros((frames, 6))
        pose[:, :3] = (turn - 0.5) * [0.2, 0.5, 0.2]
        pose[:, 5] = -12.0
    else:
        shown = random.random((frames, expressions)) < 0.25
        f_exp = np.where(shown, random.random((frames, expressions)), 0.0)
        pose = np.concatenate(
            [
                random.normal(0, [0.1, 0.2, 0.1], (frames, 3)),
                random.normal([0, 0, -12], 0.5, (frames, 3)),
            ],
            axis=1,
        )
    camera = Camera.for_image(*SIZE)
    landmarks = np.empty((frames, 68, 2))
    for i in range(frames):
        mesh = model.shape(f_shape, f_exp[i])
        places = landmark_places(model, mesh, pose[i], "anatomical")
        landmarks[i] = camera.project(places, pose[i])
    return Subject(f_shape, f_exp, pose, landmarks)


def _waves(random: np.random.Generator, frames: int, count: int) -> NDArray[np.float64]:
    """Sums of slow sines between 0 and 1, (frames, count)."""
    time = np.arange(frames)[:, None]
    period, phase = random.uniform(60, 240, count), random.uniform(0, 6.3, count)
    return np.clip(np.sin(6.283 * time / period + phase) - 0.3, 0, 1)


def with_noise(
    landmarks: NDArray[np.float64], share: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian noise of a share of the inter-ocular distance on every coordinate."""
    unit = inter_ocular_distance(landmarks)[:, None, None]
    return landmarks + share * unit * random.normal(size=landmarks.shape)


def slid(
    landmarks: NDArray[np.float64], share: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Landmarks moved along their curves by a share of the inter-ocular distance."""
    moved = landmarks.copy()
    unit = inter_ocular_distance(landmarks)[:, None]
    for curve in CURVES.values():
        for before, at, after in zip(curve, curve[1:], curve[2:], strict=False):
            step = random.normal(0, share, (len(landmarks), 1)) * unit
            towards = np.where(step > 0, landmarks[:, after], landmarks[:, before])
            along = towards - landmarks[:, at]
            length = np.linalg.norm(along, axis=1, keepdims=True)
            moved[:, at] += along / length * np.minimum(np.abs(step), 0.9 * length)
    return moved
