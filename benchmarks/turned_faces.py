"""Faces that are rolled or look away: how many are valid, and how many of these are wrong.

python benchmarks/turned_faces.py --json benchmarks/results/turned_faces.json [--seed 778] [--quick]

Rendered people, whose landmarks are known: clips rolled by eleven angles, each followed from its
first frame, and single pictures in random poses, upright and upside down. Wrong is a valid frame
with a mean error of more than 0.2 inter-ocular distances, as they are in the picture: in profile
these are small, and the landmarks of the hidden side guesses. The peer of a backend is the other.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import Target, write_results

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.renderer import random_appearance, render
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.detector import landmark_angle
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.synthesis.clips import synthetic_clip

BACKENDS = ("dlib", "mesh")
ROLLS = (0, 30, 45, 60, 90, 120, 135, 150, 180, -90, -45)
PEOPLE, FRAMES, POSES = 12, 12, 120
SIZE, CANVAS = (480, 360), (480, 480)
WRONG = 0.2
# Of random poses, degrees on each side.
YAW, PITCH, ROLL = 75.0, 20.0, 40.0

Clip = list[tuple[np.ndarray, np.ndarray]]


def rolled(clip: Clip, degrees: float) -> Clip:
    """Pictures and landmarks (68, 2), turned about the picture's middle."""
    turn = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), -degrees, 1.0)
    turn[:, 2] += (np.array(CANVAS) - SIZE) / 2
    return [
        (
            cv2.warpAffine(picture, turn, CANVAS, borderMode=cv2.BORDER_REPLICATE),
            points @ turn[:, :2].T + turn[:, 2],
        )
        for picture, points in clip
    ]


def clips(people: int, frames: int, seed: int) -> list[Clip]:
    """One clip a person."""
    made = []
    for person in range(people):
        options: dict[str, Any] = {"frames": frames, "size": SIZE, "seed": seed, "fps": 10.0}
        truth, pictures = synthetic_clip(f"X{person}", (1, 4, 12, 25), **options)
        points = truth.landmarks["anatomical"].astype(float)
        made.append(list(zip(pictures, points, strict=True)))
    return made


def poses(count: int, seed: int) -> Iterator[Clip]:
    """Single pictures of random heads in random poses, each also upside down."""
    model, camera = load_model(), Camera.for_image(*SIZE)
    mesh, rng = model.shape(None, None), np.random.default_rng(seed)
    for _ in range(count):
        angles = np.radians(rng.uniform(-1.0, 1.0, 3) * (PITCH, YAW, ROLL))
        pose = np.array([*angles, 0.0, 0.1, -8.0])
        picture = render(model, mesh, pose, camera, random_appearance(rng), rng)
        points = camera.project(model.landmarks["anatomical"].on(mesh), pose)
        yield [(picture, points)]
        yield [(np.ascontiguousarray(picture[::-1, ::-1]), np.array(SIZE) - 1 - points)]


def followed(backend: str, clip: Clip) -> tuple[int, int, int, int]:
    """Frames, valid ones, and among these wrong ones and ones taken for the other way up."""
    tracker = FaceTracker(load_detector(backend))
    results = [(tracker.follow(picture), points) for picture, points in clip]
    valid = [(result.landmarks, points) for result, points in results if result.reason == "ok"]
    wrong = [float(nme(found[None], points[None])) > WRONG for found, points in valid]
    over = [
        math.cos(landmark_angle(found) - landmark_angle(points)) < 0.0 for found, points in valid
    ]
    return len(results), len(valid), sum(wrong), sum(over)


def counts(backend: str, some: list[Clip]) -> dict[str, int]:
    """Summed over clips."""
    total = np.sum([followed(backend, clip) for clip in some], axis=0)
    names = ("frames", "valid", "wrong", "other_way_up")
    return dict(zip(names, total.tolist(), strict=True))


def main() -> None:
    """Everything, written to --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=778)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    people, frames, count = (2, 3, 6) if given.quick else (PEOPLE, FRAMES, POSES)
    upright, single = clips(people, frames, given.seed), list(poses(count, given.seed))
    rolls: dict[str, dict[str, dict[str, int]]] = {name: {} for name in BACKENDS}
    posed = {}
    for name in BACKENDS:
        for degrees in ROLLS:
            found = counts(name, [rolled(clip, degrees) for clip in upright])
            rolls[name][str(degrees)] = found
            print(f"{name:5s} roll {degrees:4d}  {found}", flush=True)
        posed[name] = counts(name, single)
        print(f"{name:5s} random poses  {posed[name]}", flush=True)
    content = {"seed": given.seed, "quick": given.quick, "rolls": rolls, "poses": posed}
    targets = [
        Target(
            f"wrong_{name}", float(sum(row["wrong"] for row in rolls[name].values())), 0, "lower"
        )
        for name in BACKENDS
    ]
    write_results(given.json, content, targets)


if __name__ == "__main__":
    main()
