"""The fit through a real detector: synthetic videos, landmarks by dlib, f_exp compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.fit import ExpressionPrior, FitOptions, fit
from glee.fitting.morphable_model.landmark_scheme import REGIONS, nme
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.datasets.action_units import BLENDSHAPES
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import read_truth, synthesise

SIZE = (640, 480)
PEOPLE, FRAMES = 6, 100
MOVED = 0.02  # standard deviation above which a coefficient is said to be moved


def through_the_detector(folder: Path, seed: int) -> dict[str, Any]:
    """r per blendshape and per AU for the plain fit and for what noise, prior and time add."""
    synthesise(folder / "data", subjects=PEOPLE, frames=FRAMES, size=SIZE, seed=1000 + seed)
    preprocess(
        "disfa",
        folder / "data",
        folder / "work",
        options=PreprocessOptions(detector="dlib"),
        workers=1,
    )
    detected, true, f_exp, intensity, subject, aus = _read(folder)
    model = load_model()
    noise = model.noise["dlib"]
    prior = plausible_expressions(seed + 5000)
    variants = {
        "true landmarks, points": (true, FitOptions(curves=False)),
        "plain": (detected, FitOptions()),
        "points": (detected, FitOptions(curves=False)),
        "whitened": (detected, FitOptions(curves=False, noise=noise)),
        "prior": (detected, FitOptions(curves=False, prior=prior)),
        "whitened, prior": (detected, FitOptions(curves=False, noise=noise, prior=prior)),
        "whitened, prior, temporal": (
            detected,
            FitOptions(curves=False, noise=noise, prior=prior, temporal=1e-2),
        ),
    }
    moved = np.flatnonzero(f_exp.std(axis=0) > MOVED)
    names = [model.expression_names[k] for k in moved]
    nmes = {name: nme(detected, true, region) for name, region in REGIONS.items()}
    rows: dict[str, Any] = {"nme": {"inner": nme(detected, true), **nmes}, "fits": {}}
    print("landmarks, NME", {name: round(value, 4) for name, value in rows["nme"].items()})
    for name, (landmarks, options) in variants.items():
        result = fit(
            landmarks,
            model,
            camera=Camera.for_image(*SIZE),
            landmark_set="dlib",
            subject=subject,
            options=options,
        )
        r = _r(result.f_exp[:, moved], f_exp[:, moved])
        by_au = _best_by_au(result.f_exp, intensity, aus, model.expression_names)
        deviation = np.nanmedian(result.f_exp_std[:, moved], axis=0)
        rows["fits"][name] = {
            "r_median": float(np.median(r)),
            "r": dict(zip(names, r.tolist(), strict=True)),
            "r_by_au": by_au,
            "std": dict(zip(names, deviation.tolist(), strict=True)),
        }
        print(f"{name:28s} r {np.median(r):.3f}  by AU", {a: round(v, 2) for a, v in by_au.items()})
    _show_unobservable(rows["fits"]["true landmarks, points"], rows["fits"]["whitened, prior"])
    return rows


def plausible_expressions(seed: int) -> ExpressionPrior:
    """Mean and covariance of f_exp over synthetic motion of other seeds than any test's."""
    from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
    from glee.pipeline.datasets.disfa import AUS
    from glee.pipeline.synthesis.motion import random_motion

    every = np.concatenate(
        [
            random_motion(AUS, ARKIT_NAMES, 400, 20.0, np.random.default_rng([seed, i])).f_exp
            for i in range(20)
        ]
    )
    floor = 0.02**2 * np.eye(every.shape[1])
    return ExpressionPrior(every.mean(axis=0), np.cov(every.T) + floor)


def _read(folder: Path) -> tuple[Any, ...]:
    detected, true, f_exp, intensity, subject = [], [], [], [], []
    for index, path in enumerate(list_shards(folder / "work")):
        shard = read_shard(path)
        truth = read_truth(folder / "data" / "truth" / f"{shard.header.subject}.h5")
        detected.append(shard.frames.landmarks.astype(float))
        true.append(truth.landmarks["dlib"].astype(float))
        f_exp.append(truth.f_exp)
        intensity.append(truth.intensity)
        subject.append(np.full(len(truth.f_exp), index))
        aus = truth.aus
    return (
        np.concatenate(detected),
        np.concatenate(true),
        np.concatenate(f_exp),
        np.concatenate(intensity),
        np.concatenate(subject),
        aus,
    )


def _r(found: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    good = np.isfinite(found).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = [np.corrcoef(found[good, k], truth[good, k])[0, 1] for k in range(truth.shape[1])]
    return np.nan_to_num(np.array(r))


def _best_by_au(
    found: NDArray[np.floating],
    intensity: NDArray[np.integer],
    aus: tuple[int, ...],
    names: tuple[str, ...],
) -> dict[str, float]:
    """For each AU the best r of its intensity with a blendshape that it moves."""
    best = {}
    for column, au in enumerate(aus):
        members = [names.index(name) for name in BLENDSHAPES[au] if name in names]
        r = [_r(found[:, [k]], intensity[:, [column]].astype(float))[0] for k in members]
        best[f"AU{au}"] = float(max(r))
    return best


def _show_unobservable(exact: dict[str, Any], found: dict[str, Any]) -> None:
    """Coefficients that are lost, with the Hessian's own prediction beside them."""
    print(f"\n{'blendshape':22s} {'std, Hessian':>12s} {'r, true':>8s} {'r, dlib':>8s}")
    for name, deviation in sorted(exact["std"].items(), key=lambda item: -item[1]):
        print(f"{name:22s} {deviation:12.2f} {exact['r'][name]:8.2f} {found['r'][name]:8.2f}")
