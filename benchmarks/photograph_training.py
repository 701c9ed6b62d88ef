"""What `glee train-landmarks --photos` makes of half of the photographs, judged on the other half.

python benchmarks/photograph_training.py [--json OUT] [--faces DIR] [--seed N] [--quick]

Both ways, so that each photograph is judged once, beside `mesh` whose landmarks are defined by the
same half. Faces of one picture are in one half. OUT is the file of real_faces.py: one row and one
target are added, and nothing else in it is changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from face_measures import Bools, Floats, cross_fitted, halves
from machine import Target
from photographs import FACES, Photograph, picture_of, read_photographs
from real_faces import MESH, look, nme_rows, opening_rows, pair

from glee.errors import GleeError
from glee.fitting.morphable_model.landmark_scheme import INNER
from glee.pipeline.cluster.tasks import one_thread
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.mesh.definition import fitted_definition
from glee.pipeline.landmarks.refiner.annotated_looks import gather
from glee.pipeline.landmarks.refiner.fine_tuning import learn
from glee.pipeline.landmarks.refiner.photograph_refiner import PhotographRefiner

NAME = "mesh+refiner:FILE"
# Square of the ellipse, in standard deviations, that holds 90 % of a Gaussian of two dimensions.
NINE_TENTHS = 4.605


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="every fourth photograph")
    parser.add_argument("--faces", type=Path, default=FACES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.faces == FACES and not FACES.is_dir():
        print(f"{FACES}: the photographs are not there; nothing is measured")
        return 0
    try:
        photographs, bad = read_photographs(arguments.faces)
        if bad:
            raise bad[0]
        row = fine_tuned(photographs[:: 4 if arguments.quick else 1], arguments.seed)
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(row, indent=1))
    if arguments.json is None:
        return 0
    content = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    content["fine_tuned"] = row
    kept = [one for one in content.get("targets", []) if one["name"] != "nme_inner_photos"]
    content["targets"] = [*kept, target(row).as_json()]
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def target(row: dict[str, Any]) -> Target:
    """What the row is to reach."""
    return Target("nme_inner_photos", row["nme"]["inner"]["raw"], 2.3, "lower")


def fine_tuned(photographs: list[Photograph], seed: int) -> dict[str, Any]:
    """Figures of both halves together, on photographs whose face `mesh` finds."""
    truth = np.stack([one.landmarks for one in photographs])
    half = halves_of_pictures(photographs, seed)
    found = look(MESH, photographs)
    assert found.dense is not None
    mesh = cross_fitted(found.dense, truth, half)
    landmarks, squares = np.full_like(mesh, np.nan), np.full(mesh.shape[:2], np.nan)
    begin = perf_counter()
    for own in (half, ~half):
        refiner = trained(photographs, found.dense, truth, found.there & ~own, seed)
        for i in np.flatnonzero(own & found.there):
            points, covariances = refiner.refine([photographs[i].picture], mesh[i : i + 1])
            landmarks[i] = points[0]
            miss = truth[i] - points[0]
            inverse = np.linalg.inv(covariances[0].astype(float))
            squares[i] = np.einsum("ka,kab,kb->k", miss, inverse, miss)
    seconds = perf_counter() - begin
    some = found.there
    mine, theirs, true = landmarks[some], mesh[some], truth[some]
    inner = list(INNER)
    return {
        "detector": NAME,
        "faces": int(some.sum()),
        "trained_on": [int((some & own).sum()) for own in (~half, half)],
        "seconds_of_both_trainings": seconds,
        "nme": nme_rows(mine, mine, true),
        "openings": opening_rows(mine, true),
        "mesh": {"nme": nme_rows(theirs, theirs, true), "openings": opening_rows(theirs, true)},
        "pair": pair(mine, theirs, [mine, theirs], true, seed),
        "share_within_90": float((squares[some][:, inner] < NINE_TENTHS).mean()),
    }


def halves_of_pictures(photographs: list[Photograph], seed: int) -> Bools:
    """The halves of real_faces.py, but for faces of one picture, which follow its first."""
    half = halves(len(photographs), seed)
    first: dict[str, bool] = {}
    for i, photograph in enumerate(photographs):
        half[i] = first.setdefault(picture_of(photograph.name), bool(half[i]))
    return half


def trained(
    photographs: list[Photograph], dense: Floats, truth: Floats, some: Bools, seed: int
) -> PhotographRefiner:
    """As the command trains, by landmarks that these photographs alone define on the mesh."""
    definition, _ = fitted_definition(dense[some], truth[some])
    own = [photographs[i] for i in np.flatnonzero(some)]
    with one_thread():
        material = gather(own, len(own), load_detector(MESH), definition, seed=seed)
    return PhotographRefiner(learn(material, definition, seed=seed).head)


if __name__ == "__main__":
    sys.exit(main())
