"""Calibrates the model's landmarks to a detector of glee and keeps the result in the model's asset.

python tools/calibrate_detector.py dlib
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
from build_morphable_model import CALIBRATIONS, kept_calibrations, write_asset
from numpy.typing import NDArray

from glee.fitting.calibration.calibration import calibration, samples
from glee.fitting.calibration.dense import calibrated_dense, dense_samples
from glee.fitting.dense_points import ASSET as DENSE_ASSET
from glee.fitting.dense_points import write_dense_points
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import ASSET
from glee.pipeline.calibration import RENDERS, SEED
from glee.pipeline.landmarks.backends import (
    detector_names,
    largest_dense_face,
    largest_face,
    load_detector,
)
from glee.pipeline.landmarks.detector import REFINED
from glee.pipeline.landmarks.refiner.network import network_of, write_weights
from glee.pipeline.landmarks.refiner.training import refined_noise
from glee.pipeline.landmarks.refiner.weights import WEIGHTS_PATH, read_weights


def main() -> None:
    """Command line: calibrate to a backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = detector_names()
    parser.add_argument("detector", choices=[*names, *(f"{name}{REFINED}" for name in names)])
    parser.add_argument("--dense", action="store_true", help="its dense points, not its 68")
    parser.add_argument("--noise-only", action="store_true", help="its 68 points stay in place")
    parser.add_argument("--renders", type=int, default=RENDERS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    if arguments.detector.endswith(REFINED):
        write_refined_noise(arguments.detector.removesuffix(REFINED), arguments.renders)
        return
    model = load_model()
    detector = load_detector(arguments.detector)
    if arguments.dense:
        faces = dense_samples(
            model, largest_dense_face(detector), arguments.renders, arguments.seed
        )
        write_dense_points(DENSE_ASSET, calibrated_dense(model, *faces))
        return
    found = samples(model, largest_face(detector), arguments.renders, arguments.seed)
    points = model.landmarks[detector.name] if arguments.noise_only else None
    write_calibration(detector.name, calibration(model, detector.name, found, points))


def write_refined_noise(backend: str, renders: int) -> None:
    """Measure the noise of a refined backend; its points are the model's and stay.

    Parameters
    ----------
    backend : name of the backend before the refiner, whose weights file keeps the noise
    renders : so many random faces
    """
    weights = read_weights()
    network = network_of(weights)
    noise = refined_noise(backend, network, renders=renders)
    write_weights(WEIGHTS_PATH, network, {**weights.noise, backend: noise}, weights.source)


def write_calibration(name: str, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Keep a detector's calibration among the assets, for rebuilds, and in the model's asset.

    Parameters
    ----------
    name : of the detector
    arrays : by their path in the asset
    """
    write_asset(ASSET.with_name(CALIBRATIONS.replace("*", name)), arrays)
    with np.load(ASSET, allow_pickle=False) as archive:
        every = {key: archive[key] for key in archive.files}
    calibrations = kept_calibrations()
    base = {key: array for key, array in every.items() if key not in calibrations}
    write_asset(ASSET, base | calibrations)


if __name__ == "__main__":
    main()
