"""Both readings of the landmarks of rendered people, and what a blendshape network saw of them.

From these `tools/estimate_witness.py` estimates how they are weighed, and `foreign_faces.py` what
f_exp would be had one model's people been left out of that.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace

import numpy as np
from default_path import FittedClip
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.fit import Fit, fit
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.witness import (
    FIGURES_PATH,
    FusedExpression,
    Readings,
    Witness,
    WitnessFigures,
    combine,
    usual_outputs,
    witness_figures,
)
from glee.pipeline.options import Fit3dOptions

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """What both witnesses say of a person's n frames, those with a face.

    there: (N,) of all N frames, whether they are among the n. readings: of the landmarks. outputs:
    (n, 52) of the network.
    """

    there: NDArray[np.bool_]
    readings: Readings
    outputs: Floats

    def fused(self, figures: WitnessFigures) -> FusedExpression:
        """f_exp by figures other than those that glee comes with."""
        power, rest = figures.power, usual_outputs(self.outputs)
        evidence = figures.gain * (self.outputs[:, 1:] ** power - rest[1:] ** power)
        return combine(self.readings, Witness(evidence), figures)


def seen_person(clip: FittedClip, size: tuple[int, int], detector: str) -> SeenPerson | None:
    """What is seen of a fitted clip; None without a face.

    The readings are asked for one by one: with a witness who saw nothing, and all or nothing by the
    rules.
    """
    there = np.isfinite(clip.f_exp).all(1) & np.isfinite(clip.blendshapes).all(1)
    if not there.any():
        return None
    model = load_model()
    options = Fit3dOptions(whiten=True, prior=True).fit_options(model, detector)
    known: Floats | None = None

    def ask(share: float | None) -> Fit:
        silent = Witness(Witness.silent(int(there.sum())).evidence, share)
        return fit(
            clip.smoothed[there],
            model,
            camera=Camera.for_image(*size),
            landmark_set=detector if detector in model.landmarks else "anatomical",
            f_shape=known,
            witness=silent,
            options=options,
        )

    open_minded = ask(None)
    known = np.asarray(open_minded.f_shape[open_minded.converged][0], np.float64)
    by_rules, apart = ask(1.0), ask(0.0)
    figures = witness_figures()
    share = float(np.clip(open_minded.rules_share[open_minded.converged][0], 1e-20, 1 - 1e-15))
    mean = figures.softness * np.log(1.0 / share - 1.0) - figures.even
    return SeenPerson(
        there,
        Readings(
            by_rules.f_exp.astype(np.float64),
            apart.f_exp.astype(np.float64),
            _own_deviation(by_rules, figures),
            _own_deviation(apart, figures),
            np.full(len(by_rules), mean),
        ),
        clip.blendshapes[there],
    )


def figures_without(model: str) -> WitnessFigures:
    """The figures that glee comes with, but for what was estimated on a model's people."""
    figures = witness_figures()
    found = tomllib.loads(FIGURES_PATH.read_text(encoding="utf-8"))
    left_out, common = found["left_out"][model], found["common"]
    of_all = (figures.gain == common["gain"]) & (figures.power == common["power"])
    gain = np.where(of_all, float(left_out["gain"]), figures.gain)
    still, moving = float(left_out["still"]), float(left_out["moving"])
    return replace(figures, gain=gain, still=still, moving=moving)


def _own_deviation(of: Fit, figures: WitnessFigures) -> Floats:
    """A reading's own deviations, before they were widened for what the fit does not know."""
    variance = of.f_exp_std.astype(np.float64) ** 2 - (figures.moving * of.f_exp) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)) / figures.still)
