"""Whitening by one covariance for all poses and by one for each range of yaw, on turned faces.

python benchmarks/landmark_yaw.py --json benchmarks/results/landmark_yaw.json

Synthetic videos of people who turn their heads further than in the other benchmarks.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from landmark_levers import pull_levers
from landmark_videos import track
from landmarks import SEEDS_BEFORE, SIZE, material
from machine import write_results

from glee.fitting.camera import rotation_matrix
from glee.pipeline.synthesis import motion
from glee.pipeline.synthesis.clips import Truth, read_truth, synthesise

YAW = np.radians(18.0)  # standard deviation; motions stay within 25 degrees
PEOPLE, FRAMES = 8, 90
QUICK_PEOPLE, QUICK_FRAMES = 3, 40
BACKENDS = ("mesh", "dlib")
LEVERS = ("plain", "whitened", "whitened by yaw")
LEVERS += ("prior", "whitened, prior", "whitened by yaw, prior")
LEVERS += ("whitened, prior, smoothed", "whitened by yaw, prior, smoothed")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    arguments = parser.parse_args()
    people, frames = (QUICK_PEOPLE, QUICK_FRAMES) if arguments.quick else (PEOPLE, FRAMES)
    motion.YAW = YAW
    with tempfile.TemporaryDirectory() as folder:
        videos = synthesise(
            Path(folder),
            subjects=people,
            frames=frames,
            size=SIZE,
            seed=SEEDS_BEFORE + 500 + arguments.seed,
        )
        truths = [read_truth(path) for path in sorted((Path(folder) / "truth").glob("*.h5"))]
        yaw = np.degrees(true_yaw(truths))
        print(f"yaw: beyond 10 degrees {np.mean(np.abs(yaw) > 10):.2f}, deviation {yaw.std():.1f}")
        rows: dict[str, Any] = {}
        for backend in BACKENDS:
            found = [track(backend, video).landmarks for video in sorted(videos)]
            print(f"\n{backend}")
            rows[backend] = pull_levers(backend, material(backend, found, truths), LEVERS)
    content = {
        "benchmark": "landmark_yaw",
        "seed": arguments.seed,
        "people": people,
        "frames": frames,
        "yaw_deviation": float(yaw.std()),
        "backends": rows,
    }
    write_results(arguments.json, content, [])


def true_yaw(truths: list[Truth]) -> np.ndarray:
    """Yaw of every frame, radians."""
    forward = rotation_matrix(np.concatenate([one.pose[:, :3] for one in truths]))[:, :, 2]
    return np.asarray(np.arctan2(forward[:, 0], forward[:, 2]))


if __name__ == "__main__":
    main()
