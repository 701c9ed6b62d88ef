"""Faces found by their size: photographs in large pictures, pictures without faces, and the cost.

python benchmarks/faces_found.py --json OUT [--faces DIR] [--detector NAME] [--seed N] [--quick]

Photographs with human landmarks are shrunk and laid into pictures of 1920 x 1080 and 3840 x 2160,
at known places. Found is a face whose landmarks, by the tracker of several faces on a single frame,
overlap its annotation's. The seed draws which photographs, places and backgrounds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from faceless_pictures import KINDS, background, without_face
from machine import Target, write_results
from numpy.typing import NDArray
from photographs import FACES, Photograph, read_photographs

from glee.errors import GleeError
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.pipeline.analysis.face_tracks import FaceTracks
from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.landmarks.backends import AUTO, chosen_detector, load_detector
from glee.pipeline.landmarks.detector import Box, Detector, overlap

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

SIZES = {"1080p": (1920, 1080), "4K": (3840, 2160)}
# Distances of the outer eye corners, pixels.
DISTANCES = (10, 12, 15, 20, 25, 30, 45, 60, 90, 140)
MIXED = (20.0, 140.0)  # between these, by the logarithm, where several sizes are in one picture
IN_PICTURE = 16
SAME_FACE = 0.4  # overlap of the boxes of found and annotated landmarks
EVERY = 200  # faces that are followed, at most
PLACES = 40  # tries to lay a photograph where none is


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--faces", type=Path, default=FACES)
    parser.add_argument("--detector", default=AUTO)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    content: dict[str, Any] = {
        "benchmark": "faces_found",
        "seed": arguments.seed,
        "quick": arguments.quick,
    }
    if arguments.faces == FACES and not FACES.is_dir():
        print(f"{FACES}: the photographs are not there; nothing is measured")
        write_results(arguments.json, content, targets(content))
        return 0
    try:
        name = chosen_detector(arguments.detector)
        detector = load_detector(name)
        photographs, bad = read_photographs(arguments.faces)
        for error in bad:
            print(f"Error: {error}", file=sys.stderr)
        if bad:
            return 1
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    content |= {"detector": name, "photographs": len(photographs)}
    content |= judge(detector, photographs, arguments.seed, quick=arguments.quick)
    write_results(arguments.json, content, targets(content))
    return 0


def judge(
    detector: Detector, photographs: list[Photograph], seed: int, *, quick: bool
) -> dict[str, Any]:
    """All figures, and they on the terminal."""
    rng = np.random.default_rng(seed)
    by_distance: dict[str, dict[str, dict[str, int]]] = {}
    for size in ("1080p",) if quick else SIZES:
        by_distance[size] = {}
        for distance in (20, 30, 60) if quick else DISTANCES:
            drawn = pictures(photographs, SIZES[size], (distance, distance), 1 if quick else 4, rng)
            by_distance[size][str(distance)] = counted(detector, drawn)
            show(f"{size}, {distance} px", by_distance[size][str(distance)])
    mixed = {}
    for size in ("1080p",) if quick else SIZES:
        drawn = pictures(photographs, SIZES[size], MIXED, 1 if quick else 6, rng)
        mixed[size] = counted(detector, drawn)
        show(f"{size}, mixed", mixed[size])
    false = {}
    for kind, drawn in faceless(photographs, rng, quick=quick):
        found = [len(faces_in(detector, picture)) for picture in drawn]
        false[kind] = {
            "pictures": len(drawn),
            "faces": int(sum(found)),
            "with_faces": int(np.count_nonzero(found)),
            "megapixels": float(sum(p.shape[0] * p.shape[1] for p in drawn) / 1e6),
        }
        print(f"{kind}: {false[kind]}", flush=True)
    return {
        "by_distance": by_distance,
        "mixed": mixed,
        "faceless": false,
        "ms": cost(detector, rng, quick=quick),
    }


def pictures(
    photographs: list[Photograph],
    size: tuple[int, int],
    between: tuple[float, float],
    count: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Picture, list[Floats]]]:
    """Large pictures with photographs in them, and where their annotated landmarks lie.

    between: the least and the largest distance of the outer eye corners, pixels.
    """
    kinds = list(KINDS)
    for number in range(count):
        picture = background(kinds[number % len(kinds)], size, rng)
        taken: list[Box] = []
        truth: list[Floats] = []
        for chosen in rng.permutation(len(photographs))[:IN_PICTURE]:
            photograph = photographs[chosen]
            distance = float(np.exp(rng.uniform(*np.log(between))))
            scale = distance / float(inter_ocular_distance(photograph.landmarks))
            part = cv2.resize(
                photograph.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
            )
            box = free_place(part.shape, size, taken, rng)
            if box is None:
                continue
            taken.append(box)
            left, top = int(box.left), int(box.top)
            picture[top : top + part.shape[0], left : left + part.shape[1]] = part
            truth.append((photograph.landmarks + 0.5) * scale - 0.5 + [left, top])
        yield picture, truth


def free_place(
    shape: tuple[int, ...], size: tuple[int, int], taken: list[Box], rng: np.random.Generator
) -> Box | None:
    """A place for a part of a shape that overlaps no other; None where none was found."""
    height, width = shape[:2]
    if width >= size[0] or height >= size[1]:
        return None
    for _ in range(PLACES):
        left, top = int(rng.integers(size[0] - width)), int(rng.integers(size[1] - height))
        box = Box(left, top, left + width, top + height)
        if all(overlap(box, other) == 0.0 for other in taken):
            return box
    return None


def faces_in(detector: Detector, picture: Picture) -> list[Floats]:
    """Landmarks (68, 2) of all faces of a picture, as an analysis of a single frame has them."""
    found = FaceTracks(IrisDetector(detector), most=EVERY).follow(picture)
    return [tracked.landmarks for _, tracked, _ in found if tracked.reason == "ok"]


def counted(
    detector: Detector, drawn: Iterator[tuple[Picture, list[Floats]]]
) -> dict[str, int | float]:
    """Annotated faces, those found, and faces found where none is annotated.

    Others are mostly people in the background of a photograph, whom nobody annotated.
    """
    faces = found = others = 0
    errors = []
    for picture, truth in drawn:
        seen = faces_in(detector, picture)
        boxes = [box_around(points) for points in seen]
        faces += len(truth)
        for own in truth:
            best = max(
                range(len(seen)), key=lambda i: overlap(boxes[i], box_around(own)), default=0
            )
            if seen and overlap(boxes[best], box_around(own)) >= SAME_FACE:
                found += 1
                off = np.linalg.norm(seen[best] - own, axis=1)[17:].mean()
                errors.append(100 * off / inter_ocular_distance(own))
        others += sum(
            all(overlap(box, box_around(own)) < SAME_FACE for own in truth) for box in boxes
        )
    error = float(np.mean(errors)) if errors else float("nan")
    return {"faces": faces, "found": found, "others": others, "nme_inner": error}


def box_around(landmarks: NDArray[np.floating]) -> Box:
    """The box of landmarks."""
    return Box(*landmarks.min(0), *landmarks.max(0))


def faceless(
    photographs: list[Photograph], rng: np.random.Generator, *, quick: bool
) -> Iterator[tuple[str, list[Picture]]]:
    """Pictures without faces, by kind."""
    count = 1 if quick else 4
    for kind in KINDS:
        yield kind, [background(kind, SIZES["1080p"], rng) for _ in range(count)]
    chosen = rng.permutation(len(photographs))[: 8 if quick else None]
    yield "photographs, faces painted over", [without_face(photographs[i]) for i in chosen]


def cost(detector: Detector, rng: np.random.Generator, *, quick: bool) -> dict[str, Any]:
    """Processor time of this thread, ms, of a quick and of a thorough search without a face."""
    rows = {}
    for name, size in {"720p": (1280, 720), **SIZES}.items():
        picture = background("landscape", size, rng)
        rows[name] = {
            "quick": milliseconds(lambda p=picture: detector.detect(p), 1 if quick else 5),
            "thorough": milliseconds(
                lambda p=picture: detector.detect(p, thorough=True), 1 if quick else 5
            ),
        }
        print(f"{name}: {rows[name]}", flush=True)
    return rows


def milliseconds(run: Any, times: int) -> float:
    """The least of some runs after a first one."""
    run()
    taken = []
    for _ in range(times):
        begin = time.thread_time()
        run()
        taken.append(time.thread_time() - begin)
    return 1e3 * min(taken)


def show(what: str, row: dict[str, int | float]) -> None:
    """One row on the terminal."""
    share = row["found"] / max(row["faces"], 1)
    print(
        f"{what}: found {share:.3f} of {row['faces']}, others {row['others']}, "
        f"error {row['nme_inner']:.2f} %",
        flush=True,
    )


def targets(content: dict[str, Any]) -> list[Target]:
    """Small faces, several in a large picture, and none where none is."""
    share = None
    several = None
    false = None
    if "mixed" in content:
        small = content["by_distance"]["1080p"]["30"]
        share = small["found"] / small["faces"]
        every = content["mixed"].values()
        several = sum(row["found"] for row in every) / sum(row["faces"] for row in every)
        drawn = [row for kind, row in content["faceless"].items() if kind in KINDS]
        false = sum(row["faces"] for row in drawn)
    return [
        Target("found_30_px_1080p", share, 0.95, "higher"),
        Target("found_several", several, 0.95, "higher"),
        Target("false_faces", false, 0, "lower"),
    ]


if __name__ == "__main__":
    sys.exit(main())
