"""Runs every kernel of the fit once, so that Numba compiles and keeps it; see kernel_cache.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from .camera import Camera
from .fit import fit
from .landmark_smoothing import SIGNALS, TrackNoise, smooth_run
from .morphable_model.model_file import load_model
from .options import expression_prior
from .witness import Witness

SIZE = (640, 480)


def main() -> None:
    """Fit three frames of the mean face by every kind of options, and smooth them."""
    model = load_model()
    camera = Camera.for_image(*SIZE)
    points = model.landmarks["anatomical"].on(model.mean)
    poses = np.array([[0.0, 0.1 * turn, 0.0, 0.0, 0.0, -9.0] for turn in range(3)])
    landmarks = np.stack([camera.project(points, pose) for pose in poses])
    noise = next(iter(model.noise.values()))
    variants: list[dict[str, Any]] = [
        {},
        {"identity": "frame"},
        {"curves": False, "contour": False},
        {"noise": noise, "temporal": 1e-3},
        {"robust": "huber"},
    ]
    # Each variant takes other branches of the kernels, or kernels of its own.
    for variant in variants:
        fit(landmarks, model, camera=camera, **variant)
    witness, prior = Witness.silent(len(landmarks)), expression_prior(model.expression_names)
    fit(landmarks, model, camera=camera, witness=witness, prior=prior)
    smooth_run(landmarks, TrackNoise(np.ones(SIGNALS), np.ones(SIGNALS)))


if __name__ == "__main__":
    main()
