"""Calibrates the model's landmarks to a detector of glee and keeps the result in the model's asset.

python -m glee.pipeline.calibrate_detector dlib
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
from numpy.typing import NDArray

from ..fitting.assets.calibrate_dense import DenseDetect, calibrated_dense, dense_samples
from ..fitting.assets.calibrate_landmarks import Detect, calibration, samples, write_calibration
from ..fitting.dense_points import ASSET, write_dense_points
from ..fitting.morphable_model import load_model
from .dense_landmarks import DenseDetector
from .landmarks import Detector, detector_names, load_detector

RENDERS, SEED = 360, 68


def largest_face(detector: Detector) -> Detect:
    """A backend as the pipeline runs it: the largest face of an image, (68, 2) pixels, or None."""

    def detect(image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        boxes = [box for box, _ in detector.detect(image, thorough=True)]
        if not boxes:
            return None
        largest = max(boxes, key=lambda box: box.area)
        points, _ = detector.landmarks(image, largest)
        # As tracking does: the box of the last landmarks, from the second frame on.
        points, _ = detector.landmarks(image, detector.box_of(points))
        return np.asarray(points, np.float64)

    return detect


def largest_dense_face(detector: Detector) -> DenseDetect:
    """The same with the dense points of a backend. Raises UsageError where it has none."""
    dense = DenseDetector(detector)
    find = largest_face(dense)

    def detect(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        landmarks = find(image)
        if landmarks is None:
            return None
        return landmarks, dense.latest().astype(np.float64)

    return detect


def main() -> None:
    """Command line: calibrate to a backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("detector", choices=detector_names())
    parser.add_argument("--dense", action="store_true", help="its dense points, not its 68")
    parser.add_argument("--noise-only", action="store_true", help="its 68 points stay in place")
    parser.add_argument("--renders", type=int, default=RENDERS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    model = load_model()
    detector = load_detector(arguments.detector)
    if arguments.dense:
        faces = dense_samples(
            model, largest_dense_face(detector), arguments.renders, arguments.seed
        )
        write_dense_points(ASSET, calibrated_dense(model, *faces))
        return
    found = samples(model, largest_face(detector), arguments.renders, arguments.seed)
    points = model.landmarks[detector.name] if arguments.noise_only else None
    write_calibration(detector.name, calibration(model, detector.name, found, points))


if __name__ == "__main__":
    main()
