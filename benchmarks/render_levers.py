"""What each part of a render does to the detectors: lid gap and landmarks' error without it.

python benchmarks/render_levers.py --json benchmarks/results/render_levers.json

The same people and movements are drawn again and again, each time with one part left out or one
thing added, and go through detection and tracking as `glee preprocess` runs them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from landmark_measures import errors, sensitivity
from landmark_videos import track
from landmarks import material
from machine import write_results

from glee.fitting.render.appearance import ADDITIONS, PARTS, RenderParts
from glee.pipeline.synthesis.clips import read_truth, synthesise

BACKENDS = ("dlib", "mesh", "mesh+refiner")
SIZE = (640, 480)
PEOPLE, FRAMES = 5, 36
QUICK_PEOPLE, QUICK_FRAMES, QUICK_LEVERS = 2, 25, ("all", "- lashes", "+ motion-blur")
SEEDS_BEFORE = 8000  # other seeds than those of tests, demos, calibrations and landmarks.py


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    for name, parts in conditions().items():
        if arguments.quick and name not in QUICK_LEVERS:
            continue
        people, frames = (QUICK_PEOPLE, QUICK_FRAMES) if arguments.quick else (PEOPLE, FRAMES)
        rows[name] = measured(parts, people, frames, SEEDS_BEFORE + arguments.seed)
        shown = (f"{key} {part['nme']:.4f} {part['r']:.3f}" for key, part in rows[name].items())
        print(f"{name:14s}", "  ".join(shown), flush=True)
    write_results(arguments.json, {"benchmark": "render_levers", "rows": rows}, [])


def conditions() -> dict[str, RenderParts]:
    """All as ever; each part left out; each addition."""
    without = {f"- {name}": RenderParts(without=frozenset({name})) for name in PARTS}
    added = {f"+ {name}": RenderParts(added=frozenset({name})) for name in ADDITIONS}
    return {"all": RenderParts(), **without, **added}


def measured(parts: RenderParts, people: int, frames: int, seed: int) -> dict[str, Any]:
    """By backend: share of valid frames, NME of the inner points, slope and r of the lid gap."""
    row = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        videos = synthesise(root, subjects=people, frames=frames, size=SIZE, seed=seed, parts=parts)
        truths = [read_truth(path) for path in sorted((root / "truth").glob("*.h5"))]
        for backend in BACKENDS:
            tracks = [track(backend, video) for video in sorted(videos)]
            of = material(backend, [one.landmarks for one in tracks], truths)
            gap = sensitivity(of.detected, of.anatomical, of.subject)["lid_gap"]
            inner = errors(of.detected, of.own, of.subject)["inner"]["nme"]
            valid = float(np.mean([one.valid.mean() for one in tracks]))
            row[backend] = {"valid": valid, "nme": inner, **gap}
    return row


if __name__ == "__main__":
    main()
