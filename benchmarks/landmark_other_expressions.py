"""What the prior does to expressions that it was not estimated from.

The synthetic videos move as the prior's own people do, which flatters it. Here blendshapes are
drawn one by one, whatever they mean together, and landmarks are the true ones with errors drawn
from the detector's calibrated noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from landmark_levers import Material, pull_levers
from numpy.typing import NDArray

from glee.fitting.calibration.calibration import CAMERA
from glee.fitting.calibration.random_faces import random_expression, random_pose
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets.action_units import MAXIMUM_INTENSITY, weights
from glee.pipeline.datasets.disfa import AUS

Floats = NDArray[np.float64]

PEOPLE, FRAMES = 6, 60
LEVERS = ("true landmarks", "plain", "whitened", "prior", "whitened, prior")


def other_expressions(backend: str, seed: int) -> dict[str, Any]:
    """Rows as of `pull_levers` for independent expressions and drawn errors."""
    model = load_model()
    if backend not in model.noise:
        return {}
    rng = np.random.default_rng([seed, 4])
    f_exp, truth = [], []
    for _ in range(PEOPLE):
        f_shape = np.clip(rng.standard_normal(len(model.identity)), -2.0, 2.0)
        for _ in range(FRAMES):
            f_exp.append(random_expression(model.expression_names, rng))
            pose = random_pose(CAMERA, rng)
            mesh = model.shape(f_shape, f_exp[-1])
            truth.append(CAMERA.project(landmark_places(model, mesh, pose, backend), pose))
    true, every = np.stack(truth), np.stack(f_exp)
    # An AU's intensity, where none is meant: that of its strongest blendshape.
    driven = np.stack([every[:, row > 0].max(1) for row in weights(AUS, model.expression_names)], 1)
    print(f"{backend}, other expressions")
    of = Material(
        detected=_disturbed(true, model.noise[backend], rng),
        anatomical=true,
        own=true,
        subject=np.repeat(np.arange(PEOPLE), FRAMES),
        f_exp=every,
        intensity=MAXIMUM_INTENSITY * driven,
        aus=AUS,
        size=(CAMERA.width, CAMERA.height),
    )
    return pull_levers(backend, of, LEVERS)


def _disturbed(truth: Floats, noise: Any, rng: np.random.Generator) -> Floats:
    """Landmarks (n, 68, 2) with bias and errors of a LandmarkNoise, turned as each face is."""
    values, vectors = np.linalg.eigh(noise.covariance.astype(np.float64))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    error = (rng.standard_normal((len(truth), len(values))) @ factor.T).reshape(-1, 68, 2)
    error += noise.bias
    axis = truth[:, 45] - truth[:, 36]
    out = np.stack([axis, np.stack([-axis[:, 1], axis[:, 0]], 1)], 2)
    return np.asarray(truth + np.einsum("nab,nib->nia", out, error))
