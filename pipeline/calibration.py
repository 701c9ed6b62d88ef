"""Calibrates a morphable model's landmarks to a detector: `glee calibrate`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError, UsageError
from ..fitting.calibration.calibration import (
    Sample,
    anatomical_pixels,
    calibration,
    samples,
    set_pixels,
)
from ..fitting.calibration.dense import calibrated_dense, dense_samples
from ..fitting.dense_points import SUFFIX, write_dense_points
from ..fitting.importers.registration import carry_landmarks, register_embedded
from ..fitting.morphable_model.landmark_noise import (
    LandmarkNoise,
    arrays_by_detector,
    noise_of_arrays,
)
from ..fitting.morphable_model.landmark_scheme import nme
from ..fitting.morphable_model.model_file import load_model, write_model
from ..fitting.morphable_model.morphable_model import HDF5_SUFFIXES, MorphableModel, SurfacePoints
from .landmarks.backends import (
    DEFAULT_SETTINGS,
    BackendSettings,
    largest_dense_face,
    largest_face,
    load_detector,
)

RENDERS, SEED = 360, 68

# With fewer faces, the places and the 136 x 136 covariance would be those of single faces.
LEAST_FACES = 40
# Without them a render shows no lids, so that a detector cannot be asked.
RENDERED_PARTS = ("skin", "lips", "eyes")


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` did.

    Attributes
    ----------
    model, detector : str
        Names.
    way : str
        "renders" or "carried" (from the embedded model's calibration).
    renders, faces : int
        How many pictures were drawn, and in how many the face was found.
    nme_before, nme_after : float
        Of the inner 51 against the anatomical and the calibrated points; NaN if carried.
    """

    model: str
    detector: str
    way: str
    renders: int
    faces: int
    nme_before: float
    nme_after: float

    def lines(self) -> tuple[str, ...]:
        """Say it as text.

        Returns
        -------
        tuple of str
            What the command prints.
        """
        if self.way == "carried":
            return (
                f"{self.model}: landmarks of {self.detector} carried over from the embedded model",
            )
        return (
            f"{self.model}: calibrated to {self.detector} on {self.faces} of {self.renders} faces",
            f"NME of the inner 51: {self.nme_before:.4f} before, {self.nme_after:.4f} after",
        )


def calibrate(
    detector: str,
    output: Path,
    *,
    model: Path | None = None,
    renders: int = RENDERS,
    seed: int = SEED,
    settings: BackendSettings = DEFAULT_SETTINGS,
    dense: bool = False,
) -> Calibration:
    """Calibrate a model to a detector backend and write it as a new model file.

    A model without eyes cannot be shown to a detector: the embedded model's calibration is carried
    over by registration.

    Parameters
    ----------
    detector : str
        Name of the backend.
    output : Path
        The model file to write, ``.h5``.
    model : Path or None
        A model's file; None for the embedded one.
    renders : int
        Random faces to draw.
    seed : int
        Of them.
    settings : BackendSettings
        What the user tells the backend.
    dense : bool
        Lay its dense points too, into a file ``.dense.npz`` beside the model file.

    Returns
    -------
    Calibration
        What was done.

    Raises
    ------
    UsageError, WeightsError, DataError, OutputError
        For arguments, weights files, models and files that cannot be used.
    """
    output = Path(output)
    if output.suffix.lower() not in HDF5_SUFFIXES:
        raise UsageError(f"output {output}: a model file ends in .h5; give such a name")
    if renders < LEAST_FACES:
        raise UsageError(f"{renders} renders: give {LEAST_FACES} or more")
    backend = load_detector(detector, settings)
    detector = backend.name
    source = load_model(None if model is None else Path(model))
    if set(RENDERED_PARTS) <= set(source.part_names):
        if dense:
            found, points = dense_samples(source, largest_dense_face(backend), renders, seed)
        else:
            found = samples(source, largest_face(backend), renders, seed)
        changed, report = _by_renders(source, detector, found, renders)
        if dense:
            laid = calibrated_dense(source, found, points)
            write_dense_points(output.with_suffix(SUFFIX), laid)
    elif dense:
        raise DataError(
            f"{source.name}: has no eyes to be rendered with, so that dense points cannot be "
            "calibrated; leave out --dense"
        )
    else:
        changed = _carried(source, detector)
        report = Calibration(source.name, detector, "carried", 0, 0, np.nan, np.nan)
    write_model(output, changed)
    return report


def _by_renders(
    model: MorphableModel, detector: str, found: list[Sample], renders: int
) -> tuple[MorphableModel, Calibration]:
    if len(found) < LEAST_FACES:
        raise DataError(
            f"{model.name}: detector {detector} finds the face in {len(found)} of {renders} "
            f"renders, {LEAST_FACES} are needed; look at it with 'glee model render', or give "
            "more renders"
        )
    arrays = calibration(model, detector, found)
    points = SurfacePoints(
        arrays[f"landmarks/{detector}/vertices"].astype(np.int32),
        arrays[f"landmarks/{detector}/weights"].astype(np.float32),
    )
    noise = noise_of_arrays(arrays_by_detector(arrays)[detector])
    changed = _with(model, detector, points, noise)
    detected = np.stack([sample.detected for sample in found])
    report = Calibration(
        model.name,
        detector,
        "renders",
        renders,
        len(found),
        nme(detected, anatomical_pixels(model, found)),
        nme(detected, set_pixels(changed, found, detector)),
    )
    return changed, report


def _carried(model: MorphableModel, detector: str) -> MorphableModel:
    """The embedded model's landmarks and noise of a detector on another model."""
    embedded = load_model()
    if detector not in embedded.noise:
        raise DataError(
            f"{model.name}: has no eyes to be rendered with, and the embedded model is not "
            f"calibrated to {detector}; calibrated are: {', '.join(sorted(embedded.noise))}"
        )
    mesh = model.mean.astype(np.float64)
    skin = [name for name in ("skin", "lips") if name in model.part_names]
    surface = (model.part_triangles(*skin) if skin else model.triangles).astype(np.int64)
    registration = register_embedded(mesh, surface, model.landmarks["anatomical"])
    points = carry_landmarks(registration, mesh, surface, detector)
    return _with(model, detector, points, embedded.noise[detector])


def _with(
    model: MorphableModel, detector: str, points: SurfacePoints, noise: LandmarkNoise
) -> MorphableModel:
    return replace(
        model,
        landmarks={**model.landmarks, detector: points},
        noise={**model.noise, detector: noise},
    )
