"""Runs the kernels of the fit once, so that Numba compiles and keeps them; see kernel_cache.py.

python -m glee.fitting.compile_kernels frames|rest
"""

from __future__ import annotations

import sys

import numpy as np

from .camera import Camera
from .fitters import Fitters
from .initial_pose import normalise
from .landmark_smoothing import SIGNALS, TrackNoise, smooth_run
from .morphable_model.model_file import load_model
from .options import FitOptions
from .solver.frame_quadratics import frame_deviations, minimise_frames
from .solver.kernel_cache import FRAMES
from .solver.levenberg_marquardt import fit_frames
from .solver.linear_algebra import SLACK, minimise, new_bounded_quadratic
from .solver.temporal import smooth
from .solver.uncertainty import reduced_energies
from .subject import SubjectFrames, start

SIZE, COUNT = (640, 480), 3


def main(part: str) -> None:
    """Run every kernel of a part on frames of the mean face.

    Options do not change the kernels' types, but the precision of the modes does, whose default is
    meant here.

    Parameters
    ----------
    part : `kernel_cache.FRAMES` or `REST`
    """
    model = load_model()
    camera = Camera.for_image(*SIZE)
    points = model.landmarks["anatomical"].on(model.mean)
    poses = np.array([[0.0, 0.1 * turn, 0.0, 0.0, 0.0, -9.0] for turn in range(COUNT)])
    landmarks = np.stack([camera.project(points, pose) for pose in poses])
    fitters = Fitters.of(model, "anatomical", FitOptions())
    mean = fitters.points.mean
    seen = normalise(landmarks, np.ones(landmarks.shape[:2]), camera, mean)
    frames = SubjectFrames.of(seen, camera.focal)
    fitter = fitters.local
    states = start(fitter, frames)
    if part == FRAMES:
        fit_frames(fitter, frames.data, states)
        return
    reduced = reduced_energies(fitter, frames.data, states)
    ends = fitter.prior.lower, fitter.prior.upper
    x = states.x.astype(np.float64)
    frame_deviations(reduced.hessian, 1.0)
    minimise_frames(x, reduced.hessian, reduced.gradient, ends)
    linked = np.arange(COUNT) > 0
    smooth(x, reduced.gradient, reduced.hessian, linked, 1.0, ends)
    minimise(new_bounded_quadratic(1, np.float64), SLACK)
    smooth_run(landmarks, TrackNoise(np.ones(SIGNALS), np.ones(SIGNALS)))


if __name__ == "__main__":
    main(sys.argv[1])
