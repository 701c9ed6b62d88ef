"""The default fit of single photographs, by human and by detected landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from photographs import Photograph

from glee.fitting.camera import Camera, rotation_matrix
from glee.fitting.fit import fit
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.options import PAPER_WEIGHT, FitOptions, expression_prior
from glee.pipeline.analysis.face_fit import FaceFitter

Floats = NDArray[np.float64]

LOOKS = "eyeLook"  # what these coefficients do is seen in the irises, which the 68 points lack
MOVED = 0.02  # standard deviation below which a coefficient does not move
WEIGHTS = (PAPER_WEIGHT, PAPER_WEIGHT)


@dataclass(frozen=True, eq=False)
class HumanFit:
    """The fit of the human landmarks of n photographs. f_exp: (n, 51). yaw: (n,) degrees."""

    f_exp: Floats
    yaw: Floats


def human_fit(photographs: list[Photograph]) -> HumanFit:
    """Fit the annotations: each face by itself, with the prior, not whitened."""
    model = FaceFitter.of("none").model
    options = FitOptions(prior=expression_prior(model.expression_names), regularisation=WEIGHTS)
    every = [
        fit(
            one.landmarks,
            model,
            camera=Camera.for_image(*one.size),
            landmark_set="anatomical",
            identity="frame",
            options=options,
        )
        for one in photographs
    ]
    pose = np.concatenate([one.pose for one in every]).astype(np.float64)
    forward = rotation_matrix(pose[:, :3])[:, :, 2]
    yaw = np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))
    return HumanFit(np.concatenate([one.f_exp for one in every]).astype(np.float64), yaw)


def fitted_coefficients(backend: str, photographs: list[Photograph], landmarks: Floats) -> Floats:
    """f_exp (n, 51) of detected landmarks (n, 68, 2), by the command line's default; else NaN."""
    fitter = FaceFitter.of(backend)
    options = replace(fitter.options, regularisation=WEIGHTS)
    found = np.full((len(photographs), len(fitter.model.expression_names)), np.nan)
    for number, one in enumerate(photographs):
        if np.isfinite(landmarks[number]).all():
            result = fit(
                landmarks[number],
                fitter.model,
                camera=Camera.for_image(*one.size),
                landmark_set=fitter.landmark_set,
                identity="frame",
                options=options,
            )
            found[number] = result.f_exp[0]
    return found


def coefficient_r(found: Floats, known: Floats, model: MorphableModel | None = None) -> float:
    """Median r over the coefficients that move in both, eyeLook apart; NaN without faces."""
    names = (model or FaceFitter.of("none").model).expression_names
    good = np.isfinite(found).all(1) & np.isfinite(known).all(1)
    one, other = found[good], known[good]
    if len(one) < 2:
        return float("nan")
    moved = (other.std(0) > MOVED) & np.array([not name.startswith(LOOKS) for name in names])
    with np.errstate(invalid="ignore", divide="ignore"):
        r = [np.corrcoef(one[:, k], other[:, k])[0, 1] for k in np.flatnonzero(moved)]
    return float(np.median(np.nan_to_num(r)))
