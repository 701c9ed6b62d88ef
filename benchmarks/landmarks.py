"""Landmarks that carry expression: how much of it each detector backend keeps, and what helps.

python benchmarks/landmarks.py --json benchmarks/results/landmarks.json

Synthetic videos of the seed give the truth; real ones (shared/real, where they are) show steadiness
and blinks. Times are CPU time of one thread, detection, tracking and landmarks together.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from landmark_levers import LEVERS, QUICK, Material, calibrated_nme, pull_levers
from landmark_measures import errors, sensitivity
from landmark_other_expressions import other_expressions
from landmark_videos import real_videos, track
from machine import Target, write_results

from glee.errors import WeightsError
from glee.pipeline.landmarks.backends import detector_names, load_detector
from glee.pipeline.landmarks.detector import REFINED
from glee.pipeline.synthesis.clips import Truth, read_truth, synthesise

SIZE = (640, 480)
PEOPLE, FRAMES = 8, 120
QUICK_PEOPLE, QUICK_FRAMES = 3, 50
# What `glee preprocess` and `glee fit3d` do where nothing is said.
DEFAULT = ("mesh", "whitened, prior, smoothed")
SEEDS_BEFORE = 7000  # other seeds than those of tests, demos and calibrations


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    arguments = parser.parse_args()
    people, frames = (QUICK_PEOPLE, QUICK_FRAMES) if arguments.quick else (PEOPLE, FRAMES)
    levers = QUICK if arguments.quick else tuple(LEVERS)
    backends = installed()
    with tempfile.TemporaryDirectory() as folder:
        videos = synthesise(
            Path(folder),
            subjects=people,
            frames=frames,
            size=SIZE,
            seed=SEEDS_BEFORE + arguments.seed,
        )
        truths = [read_truth(path) for path in sorted((Path(folder) / "truth").glob("*.h5"))]
        rows = {name: backend_row(name, sorted(videos), truths, levers) for name in backends}
    if not arguments.quick:
        for name in backends:
            rows[name]["other_expressions"] = other_expressions(name, arguments.seed)
    real = real_videos(backends)
    best = best_backend(rows)
    print(f"\nbest: {best[0]}, {best[1]}")
    content = {
        "benchmark": "landmarks",
        "seed": arguments.seed,
        "people": people,
        "frames": frames,
        "backends": rows,
        "real": real,
        "best": {"backend": best[0], "lever": best[1]},
        "default": {"backend": DEFAULT[0], "lever": DEFAULT[1]},
    }
    write_results(arguments.json, content, targets(rows, real, *DEFAULT))


def installed() -> list[str]:
    """Backends whose weights are there; the others are named."""
    found = []
    plain = detector_names()
    for name in (*plain, *(f"{name}{REFINED}" for name in plain)):
        try:
            load_detector(name)
        except (WeightsError, ImportError) as error:
            print(f"{name}: left out ({error})")
        else:
            found.append(name)
    return found


def backend_row(
    name: str, videos: list[Path], truths: list[Truth], levers: tuple[str, ...]
) -> dict[str, Any]:
    """All figures of a backend on the synthetic videos."""
    tracks = [track(name, video) for video in videos]
    of = material(name, [one.landmarks for one in tracks], truths)
    dense = [one.dense for one in tracks if one.dense is not None]
    if dense:
        of = replace(of, dense=np.concatenate(dense))
    print(f"\n{name}")
    row: dict[str, Any] = {
        "valid": float(np.mean([one.valid.mean() for one in tracks])),
        "ms": float(np.mean([one.ms for one in tracks])),
        "regions": errors(of.detected, of.own, of.subject),
        "regions_anatomical": errors(of.detected, of.anatomical, of.subject),
        "nme_less_bias": calibrated_nme(name, of),
        "sensitivity": sensitivity(of.detected, of.anatomical, of.subject),
    }
    for region, figures in row["regions"].items():
        print(f"  {region:10s}", "  ".join(f"{key} {value:.4f}" for key, value in figures.items()))
    for gap, figures in row["sensitivity"].items():
        print(f"  {gap:12s}", "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    row["fits"] = pull_levers(name, of, levers)
    return row


def material(backend: str, detected: list[Any], truths: list[Truth]) -> Material:
    """Detected landmarks and truths of several videos, end to end."""
    known = truths[0].landmarks
    own = backend if backend in known else "anatomical"
    return Material(
        detected=np.concatenate(detected),
        anatomical=np.concatenate([t.landmarks["anatomical"] for t in truths]).astype(np.float64),
        own=np.concatenate([t.landmarks[own] for t in truths]).astype(np.float64),
        subject=np.repeat(np.arange(len(truths)), [len(t.f_exp) for t in truths]),
        f_exp=np.concatenate([t.f_exp for t in truths]).astype(np.float64),
        intensity=np.concatenate([t.intensity for t in truths]).astype(np.float64),
        aus=truths[0].aus,
        size=SIZE,
    )


def best_backend(rows: dict[str, Any]) -> tuple[str, str]:
    """The backend and the lever of the highest median r; true landmarks are no lever."""
    every = [
        (figures["r_median"], backend, lever)
        for backend, row in rows.items()
        for lever, figures in row["fits"].items()
        if lever != "true landmarks"
    ]
    _, backend, lever = max(every)
    return backend, lever


def targets(
    rows: dict[str, Any], real: dict[str, Any] | None, backend: str, lever: str
) -> list[Target]:
    """The figures aimed at for one backend with one lever; jitter is that of smoothed points."""
    row = rows[backend]
    fitted, gap = row["fits"][lever], row["sensitivity"]
    ratio = None
    if real is not None and "dlib" in real["backends"]:
        of = real["backends"]
        ratio = of[backend]["jitter_smoothed"] / of["dlib"]["jitter"]
    return [
        Target("nme_inner", row["regions"]["inner"]["nme"], 0.02, "lower"),
        Target("r_f_exp_median", fitted["r_median"], 0.75, "higher"),
        Target("r_au_min", fitted["r_au_min"], 0.6, "higher"),
        Target("lid_gap_r", gap["lid_gap"]["r"], 0.9, "higher"),
        Target("lip_gap_r", gap["lip_gap"]["r"], 0.95, "higher"),
        Target("jitter_over_dlib", ratio, 0.5, "lower"),
        Target("ms_per_frame_cpu", row["ms"], 6.0, "lower"),
    ]


if __name__ == "__main__":
    main()
