"""How well f_exp comes through a detector: the joint fit with each means against its errors."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from landmark_measures import errors
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.dense_points import DenseObservations, load_dense_points
from glee.fitting.fit import FitOptions, fit
from glee.fitting.landmark_smoothing import DifferenceCounts, smooth_run
from glee.fitting.morphable_model.model_file import load_model as load_embedded
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.options import expression_prior
from glee.pipeline.datasets.action_units import BLENDSHAPES
from glee.pipeline.datasets.disfa import AUS_USED
from glee.pipeline.landmarks.refiner.weights import with_refined

Floats = NDArray[np.float64]

TEMPORAL = 1e-3
ONSET = 0.05  # change of a coefficient in a frame that counts as an onset or offset
# Name -> what it takes: curves, or points where it says so; the rest is plain. "whitened" is by one
# covariance for all poses.
LEVERS: dict[str, tuple[str, ...]] = {
    "true landmarks": ("true", "points"),
    "plain, anatomical points": ("anatomical",),
    "plain": (),
    "plain, no curves": ("points",),
    "bias": ("bias",),
    "whitened": ("whitened",),
    "whitened, no curves": ("whitened", "points"),
    "prior": ("prior",),
    "temporal": ("temporal",),
    "whitened, prior": ("whitened", "prior"),
    "whitened, prior, no curves": ("whitened", "prior", "points"),
    "whitened, prior, smoothed": ("whitened", "prior", "smoothed"),
    "whitened, temporal": ("whitened", "temporal"),
    "prior, temporal": ("prior", "temporal"),
    "whitened, prior, temporal": ("whitened", "prior", "temporal"),
    "whitened, prior, temporal, no curves": ("whitened", "prior", "temporal", "points"),
    "whitened by yaw": ("by yaw",),
    "whitened by yaw, prior": ("by yaw", "prior"),
    "whitened by yaw, prior, smoothed": ("by yaw", "prior", "smoothed"),
    "dense": ("dense",),
    "dense alone": ("dense", "dense alone"),
    "dense, prior": ("dense", "prior"),
    "dense alone, prior": ("dense", "dense alone", "prior"),
    "dense, whitened, prior, smoothed": ("dense", "whitened", "prior", "smoothed"),
}
QUICK = ("plain", "prior", "whitened, prior", "whitened, prior, smoothed")


@dataclass(frozen=True, eq=False)
class Material:
    """Frames of several people: what was detected and what is true.

    detected, anatomical, own: (n, 68, 2) pixels; own: the points that the detector was calibrated
    to. subject: (n,). f_exp: (n, e). intensity: (n, a), columns as aus. size: of the pictures.
    dense: (n, 478, 2) pixels; None where the backend has no dense points.
    """

    detected: Floats
    anatomical: Floats
    own: Floats
    subject: NDArray[np.int64]
    f_exp: Floats
    intensity: Floats
    aus: tuple[int, ...]
    size: tuple[int, int]
    dense: Floats | None = None


@lru_cache(maxsize=1)
def load_model() -> MorphableModel:
    """The embedded model, which knows the refined backends by name too."""
    return with_refined(load_embedded())


def smoothed(landmarks: Floats) -> Floats:
    """Landmarks of a clip (n, 68, 2) smoothed as `fit3d --smooth` does; gaps stay as they are."""
    if not np.isfinite(landmarks).all():
        return landmarks
    counts = DifferenceCounts()
    counts.add(landmarks)
    noise = counts.noise()
    return landmarks if noise is None else smooth_run(landmarks, noise)


def pull_levers(backend: str, of: Material, names: tuple[str, ...]) -> dict[str, Any]:
    """A row for each lever: r of f_exp per coefficient and per AU, and what it costs."""
    model = load_model()
    if backend not in model.noise:
        print(f"{backend}: not calibrated; run glee calibrate {backend}; its fits are left out")
        return {}
    rows: dict[str, Any] = {}
    for name in names:
        if "dense" in LEVERS[name] and of.dense is None:
            continue
        if "by yaw" in LEVERS[name] and model.noise[backend].by_yaw is None:
            continue
        landmarks, landmark_set, options = _arranged(backend, of, LEVERS[name])
        dense = None
        if "dense" in LEVERS[name]:
            calibration, only = load_dense_points(load_embedded()), "dense alone" in LEVERS[name]
            dense = DenseObservations(of.dense, calibration, only=only)
        begin = time.thread_time()
        found = fit(
            landmarks,
            model,
            camera=Camera.for_image(*of.size),
            landmark_set=landmark_set,
            subject=of.subject,
            dense=dense,
            options=options,
        )
        ms = (time.thread_time() - begin) / len(landmarks) * 1e3
        rows[name] = {**recovered(found.f_exp, of, model.expression_names), "ms": ms}
        rows[name]["converged"] = float(found.converged.mean())
        row = rows[name]
        print(
            f"  {name:38s} r {row['r_median']:.3f}  worst AU {row['r_au_min']:.2f}  "
            f"mean AU {row['r_au_mean']:.3f}  onsets {row['onset_slope']:.2f}  {ms:.1f} ms"
        )
    return rows


def _arranged(backend: str, of: Material, lever: tuple[str, ...]) -> tuple[Floats, str, FitOptions]:
    """Landmarks, landmark set and options of a lever."""
    model = load_model()
    options = FitOptions(curves="points" not in lever)
    if "whitened" in lever:
        options = replace(options, noise=replace(model.noise[backend], by_yaw=None))
    if "by yaw" in lever:
        options = replace(options, noise=model.noise[backend])
    if "prior" in lever:
        options = replace(options, prior=expression_prior(model.expression_names))
    if "temporal" in lever:
        options = replace(options, temporal=TEMPORAL)
    landmarks = of.own if "true" in lever else of.detected
    if "bias" in lever:
        landmarks = without_bias(landmarks, model.noise[backend].bias.astype(np.float64))
    if "smoothed" in lever:
        landmarks = np.concatenate(
            [smoothed(landmarks[of.subject == name]) for name in np.unique(of.subject)]
        )
    return landmarks, "anatomical" if "anatomical" in lever else backend, options


def without_bias(landmarks: Floats, bias: Floats) -> Floats:
    """Landmarks (n, 68, 2) in pixels less a bias (68, 2) in the face's frame."""
    axis = landmarks[:, 45] - landmarks[:, 36]
    back = np.stack([axis, np.stack([-axis[:, 1], axis[:, 0]], 1)], 2)
    return landmarks - np.einsum("nab,ib->nia", back, bias)


def recovered(f_exp: NDArray[np.floating], of: Material, names: tuple[str, ...]) -> dict[str, Any]:
    """r over all frames of the coefficients that the AUs move, and of the AUs' intensities.

    An AU's is that of the best of its coefficients.
    """
    found = f_exp.astype(np.float64)
    shapes = {name for au in of.aus for name in BLENDSHAPES[au]}
    moved = [names.index(name) for name in names if name in shapes]
    r = {names[k]: correlation(found[:, k], of.f_exp[:, k]) for k in moved}
    by_au = {
        f"AU{au}": max(
            correlation(found[:, names.index(name)], of.intensity[:, column])
            for name in BLENDSHAPES[au]
        )
        for column, au in enumerate(of.aus)
    }
    used = [by_au[f"AU{au}"] for au in AUS_USED]
    return {
        "r_median": float(np.median(list(r.values()))),
        "r_au_min": min(used),
        "r_au_mean": float(np.mean(used)),
        "onset_slope": onset_slope(found[:, moved], of.f_exp[:, moved], of.subject),
        "r": r,
        "r_by_au": by_au,
    }


def onset_slope(found: Floats, true: Floats, subject: NDArray[np.int64]) -> float:
    """Fitted over true change from frame to frame where the truth changes fast; 1 is no lag."""
    same = subject[1:] == subject[:-1]
    change, truth = np.diff(found, axis=0)[same], np.diff(true, axis=0)[same]
    fast = (np.abs(truth) > ONSET) & np.isfinite(change)
    return float((change[fast] * truth[fast]).sum() / max((truth[fast] ** 2).sum(), 1e-12))


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's r over the frames that were fitted; 0 where nothing moves."""
    good = np.isfinite(one)
    x, y = one[good] - one[good].mean(), other[good] - other[good].mean()
    return float(x @ y / max(np.sqrt((x @ x) * (y @ y)), 1e-12))


def calibrated_nme(backend: str, of: Material) -> dict[str, float]:
    """NME by region of landmarks less the bias of the calibration."""
    noise = load_model().noise.get(backend)
    if noise is None:
        return {}
    corrected = without_bias(of.detected, noise.bias.astype(np.float64))
    return {k: row["nme"] for k, row in errors(corrected, of.own, of.subject).items()}
