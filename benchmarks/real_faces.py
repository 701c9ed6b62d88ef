"""Photographs with human landmarks: which backend finds the faces and sees what moves in them.

python benchmarks/real_faces.py --json OUT [--faces DIR] [--detector NAME] [--seed N] [--quick]

Each photograph is looked at as the command line looks at an image: the detector on the whole image,
then the tracker's first frame. Contact sheets go into a folder beside the JSON file; they show
photographs, so they are not for the repository. Where the photographs are not there, nothing is
measured.

Where the 68 landmarks lie on the mesh was measured on the photographs that are looked at by
default. There `mesh` is judged cross-fitted, by definitions that each half of them gives the
other; with --faces as it is shipped. dlib's landmarks were trained on 300-W, of which Helen's
training part is a piece: on such photographs its figures are flattered.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from face_measures import (
    CLOSED,
    REGIONS,
    SETS,
    Bools,
    Floats,
    area_under_curve,
    cross_fitted,
    eye_openings,
    face_errors,
    halves,
    interval,
    less_bias,
    openings,
    slope_and_r,
)
from face_sheets import Cell, write_sheet
from machine import Target, write_results
from numpy.typing import NDArray
from photograph_fits import coefficient_r, fitted_coefficients, human_fit
from photographs import FACES, Photograph, read_photographs

from glee.errors import DataError, GleeError, WeightsError
from glee.pipeline.analysis.face_tracks import FaceTracks
from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.landmarks.backends import AUTO, chosen_detector, load_detector
from glee.pipeline.landmarks.dense_landmarks import DenseDetector
from glee.pipeline.landmarks.detector import Box, overlap
from glee.pipeline.landmarks.mesh.points import COUNT
from glee.pipeline.landmarks.tracking import FaceTracker

BACKENDS = ("mesh", "mesh+refiner", "dlib", "fan")
# The backend that the others' worst region is compared with.
MESH = "mesh"
MANY = 8  # faces that are followed where the largest one is not the annotated one
QUICK = 60
# Landmarks whose box overlaps the annotation's by this much belong to its face; a found face with
# a larger mean error than WRONG inter-ocular distances is counted apart.
SAME_FACE, WRONG = 0.4, 0.2
YAWS = (0.0, 10.0, 20.0, 35.0, 90.0)  # edges of the bins of the absolute yaw, degrees
FEWEST = 8  # faces of a bin for which figures are given
IN_SHEET = 24


@dataclass(frozen=True, eq=False)
class Found:
    """What a backend makes of n photographs.

    landmarks: (n, 68, 2) pixels, NaN where the annotated face was not found. alone: (n,) whether
    it was found by the tracker that follows the largest face. elsewhere: (n,) whether another face
    was found, or something that is none. dense: (n, 478, 2) pixels, the points of the mesh; None
    for other backends. crossed: whether the landmarks are by a definition that knows the other half
    of the photographs only; they then have no bias that this half could show.
    """

    landmarks: Floats
    alone: Bools
    elsewhere: Bools
    dense: Floats | None = None
    crossed: bool = False

    @property
    def there(self) -> Bools:
        """(n,) whether the annotated face was found."""
        return np.asarray(np.isfinite(self.landmarks).all((1, 2)))

    def less_bias(self, some: Bools, truth: Floats, half: Bools) -> Floats:
        """Landmarks of some faces, less the bias that the other half shows."""
        own = self.landmarks[some]
        return own if self.crossed else less_bias(own, truth[some], half[some])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--faces", type=Path, default=FACES)
    parser.add_argument("--detector", action="append", default=[], help="another one beside all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.faces == FACES and not FACES.is_dir():
        print(f"{FACES}: the photographs are not there; nothing is measured")
        write_results(arguments.json, {"benchmark": "real_faces", "photographs": 0}, targets({}))
        return 0
    try:
        photographs, bad = read_photographs(arguments.faces, QUICK if arguments.quick else None)
        for error in bad:
            print(f"Error: {error}", file=sys.stderr)
        if bad:
            return 1
        crossed = arguments.faces == FACES
        sheets = sheet_folder(arguments)
        content = judge(photographs, arguments.detector, arguments.seed, sheets, crossed=crossed)
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    content["fine_tuned"] = row_of_photograph_training(arguments.json)
    content["quick"] = arguments.quick
    content["faces"] = "default" if arguments.faces == FACES else str(arguments.faces)
    write_results(arguments.json, content, targets(content))
    return 0


def row_of_photograph_training(json_file: Path | None) -> dict[str, Any] | None:
    """What photograph_training.py wrote into the results; it is measured by that script alone."""
    if json_file is None or not json_file.exists():
        return None
    row: dict[str, Any] | None = json.loads(json_file.read_text()).get("fine_tuned")
    return row


def sheet_folder(arguments: argparse.Namespace) -> Path | None:
    """Where the contact sheets go."""
    file: Path | None = arguments.json
    return None if file is None else file.with_name(f"{file.stem}-sheets")


def judge(
    photographs: list[Photograph],
    named: list[str],
    seed: int,
    sheets: Path | None,
    *,
    crossed: bool,
) -> dict[str, Any]:
    """All figures of all backends. Raises DataError where no backend finds a face."""
    default = chosen_detector(AUTO)
    truth = np.stack([one.landmarks for one in photographs])
    human = human_fit(photographs)
    half = halves(len(photographs), seed)
    found = {name: look(name, photographs) for name in installed(default, named)}
    if crossed and MESH in found:
        dense = found[MESH].dense
        assert dense is not None
        landmarks = cross_fitted(dense, truth, half)
        found[MESH] = replace(found[MESH], landmarks=landmarks, crossed=True)
    if not any(one.there.any() for one in found.values()):
        raise DataError(
            f"none of {len(photographs)} photographs shows a face where its annotation says so; "
            "give photographs with faces and their own .pts files"
        )
    rows = {}
    for name, one in found.items():
        rows[name] = backend_row(one, truth, half, human.yaw)
        own = fitted_coefficients(name, photographs, one.landmarks)
        rows[name]["f_exp_r_to_human"] = coefficient_r(own, human.f_exp)
        show(name, rows[name])
    tell_missing(default, photographs, found[default])
    if sheets is not None:
        draw_sheets(sheets, photographs, truth, found[default].landmarks, seed)
    return {
        "benchmark": "real_faces",
        "seed": seed,
        "photographs": len(photographs),
        "default": default,
        "cross_fitted": crossed,
        "backends": rows,
        "pairs": pairs(found, truth, half, default, seed),
    }


def installed(default: str, named: list[str]) -> list[str]:
    """Backends whose weights are there; the others are named. Raises for one that was asked for."""
    names = []
    for name in dict.fromkeys((default, *BACKENDS, *named)):
        try:
            load_detector(name)
        except (WeightsError, ImportError) as error:
            if name in named:
                raise
            print(f"{name}: left out ({error})")
        else:
            names.append(name)
    return names


def look(name: str, photographs: list[Photograph]) -> Found:
    """The annotated faces as a backend finds them."""
    backend = load_detector(name)
    detector = DenseDetector(backend) if name == MESH else backend
    dense = np.full((len(photographs), COUNT, 2), np.nan) if name == MESH else None
    landmarks = np.full((len(photographs), 68, 2), np.nan)
    alone, elsewhere = np.zeros((2, len(photographs)), np.bool_)
    for number, photograph in enumerate(photographs):
        largest = FaceTracker(detector).follow(photograph.picture)
        seen = [largest.landmarks] if largest.reason == "ok" else []
        alone[number] = any(belongs(points, photograph.landmarks) for points in seen)
        if not alone[number]:
            tracks = FaceTracks(IrisDetector(backend), most=MANY)
            every = [tracked for _, tracked, _ in tracks.follow(photograph.picture)]
            seen += [tracked.landmarks for tracked in every if tracked.reason == "ok"]
        own = [points for points in seen if belongs(points, photograph.landmarks)]
        elsewhere[number] = bool(seen) and not own
        if own:
            landmarks[number] = own[0]
            if isinstance(detector, DenseDetector) and dense is not None:
                dense[number] = detector.dense_of(own[0])
                if np.isnan(dense[number]).any():
                    # Found among many: looked at once more, as the next frame would be.
                    box = backend.box_of(own[0])
                    points, _ = backend.landmarks_dense(photograph.picture, box)
                    dense[number] = points[:, :2]
    return Found(landmarks, alone, elsewhere, dense)


def belongs(landmarks: NDArray[np.floating], truth: Floats) -> bool:
    """Whether detected landmarks (68, 2) are of the annotated face: their boxes overlap."""
    boxes = [Box(*points.min(0), *points.max(0)) for points in (landmarks, truth)]
    return bool(overlap(boxes[0], boxes[1]) >= SAME_FACE)


def backend_row(found: Found, truth: Floats, half: Bools, yaw: Floats) -> dict[str, Any]:
    """A backend's figures on the faces that it found, by region, opening and yaw."""
    there = found.there
    row: dict[str, Any] = {
        "found": float(there.mean()),
        "found_alone": float(found.alone.mean()),
        "elsewhere": int(found.elsewhere.sum()),
        "faces": int(there.sum()),
    }
    if there.sum() < FEWEST:
        return row
    detected, true = found.landmarks[there], truth[there]
    corrected = found.less_bias(there, truth, half)
    row["wrong"] = int((face_errors(detected, true) > WRONG).sum())
    row["nme"] = nme_rows(detected, corrected, true)
    row["openings"] = opening_rows(detected, true)
    closed = eye_openings(true) < CLOSED
    row["closed_eyes"] = int(closed.sum())
    row["closed_eye_auc"] = area_under_curve(-eye_openings(detected), closed)
    row["by_yaw"] = {}
    turned = np.abs(yaw[there])
    for low, high in zip(YAWS, YAWS[1:], strict=False):
        some = (turned >= low) & (turned < high)
        if some.sum() >= FEWEST:
            row["by_yaw"][f"{low:.0f}-{high:.0f}"] = {
                "faces": int(some.sum()),
                "nme": nme_rows(detected[some], corrected[some], true[some]),
                "openings": opening_rows(detected[some], true[some]),
            }
    return row


def nme_rows(detected: Floats, corrected: Floats, true: Floats) -> dict[str, dict[str, float]]:
    """By set of points, % of the outer eye corners' distance: mean, median, mean less bias."""
    return {
        name: {
            "raw": 100 * float(face_errors(detected, true, points).mean()),
            "raw_median": 100 * float(np.median(face_errors(detected, true, points))),
            "less_bias": 100 * float(face_errors(corrected, true, points).mean()),
        }
        for name, points in SETS.items()
    }


def opening_rows(detected: Floats, true: Floats) -> dict[str, dict[str, float]]:
    """Slope and r of each opening over the photographs, with the mean error."""
    measured, known = openings(detected), openings(true)
    return {
        name: {
            **slope_and_r(measured[name], known[name]),
            "mean_error": float((measured[name] - known[name]).mean()),
        }
        for name in known
    }


def pairs(
    found: dict[str, Found], truth: Floats, half: Bools, default: str, seed: int
) -> dict[str, Any]:
    """Each backend less the default and less the mesh, on faces that both found, with intervals."""
    rows = {}
    for base in dict.fromkeys((MESH, default)):
        for name in found:
            if base not in found or name == base or f"{base} - {name}" in rows:
                continue
            both = found[name].there & found[base].there
            if both.sum() >= FEWEST:
                one, other = (found[key].landmarks[both] for key in (name, base))
                corrected = [found[key].less_bias(both, truth, half) for key in (name, base)]
                rows[f"{name} - {base}"] = pair(one, other, corrected, truth[both], seed)
    return rows


def pair(
    one: Floats, other: Floats, corrected: list[Floats], truth: Floats, seed: int
) -> dict[str, Any]:
    """One backend's figures less another's on the same faces, each with its 95 % interval.

    corrected: both less their bias.
    """
    count = len(truth)
    row: dict[str, Any] = {"faces": count, "raw": {}, "less_bias": {}, "ratio": {}, "r": {}}
    for name, points in SETS.items():
        for key, (mine, theirs) in (("raw", [one, other]), ("less_bias", corrected)):
            errors = [face_errors(landmarks, truth, points) for landmarks in (mine, theirs)]
            gap = 100 * (errors[0] - errors[1])
            row[key][name] = interval(lambda some, gap=gap: gap[some].mean(), count, seed)
            if key == "less_bias":
                row["ratio"][name] = interval(
                    lambda some, e=errors: e[0][some].mean() / e[1][some].mean(), count, seed
                )
    known = openings(truth)
    measured = [openings(landmarks) for landmarks in (one, other)]
    for name, true in known.items():

        def gain(some: Any, name: str = name, true: Floats = true) -> float:
            r = [slope_and_r(by[name][some], true[some])["r"] for by in measured]
            return r[0] - r[1]

        row["r"][name] = interval(gain, count, seed)
    return row


def tell_missing(name: str, photographs: list[Photograph], found: Found) -> None:
    """One line for each photograph whose face the backend did not find."""
    for photograph, there, other in zip(photographs, found.there, found.elsewhere, strict=True):
        if not there and other:
            print(
                f"{photograph.name}: {name} finds a face, but not where the .pts file has it; it "
                "may be the annotation of another image"
            )
        elif not there:
            print(f"{photograph.name}: {name} finds no face")


def draw_sheets(
    folder: Path, photographs: list[Photograph], truth: Floats, detected: Floats, seed: int
) -> None:
    """The default backend's worst faces, and random ones."""
    error = np.nan_to_num(100 * face_errors(detected, truth), nan=np.inf)
    worst = np.argsort(-error, kind="stable")[:IN_SHEET]
    chance = np.random.default_rng([seed, 24]).permutation(len(photographs))[:IN_SHEET]
    for name, chosen in (("worst", worst), ("random", np.sort(chance))):
        cells = []
        for i in chosen:
            there = bool(np.isfinite(error[i]))
            told = f"{photographs[i].name} {error[i]:.1f} %" if there else "not found"
            cells.append(Cell(photographs[i], detected[i] if there else None, told))
        write_sheet(folder / f"{name}.png", cells)


def show(name: str, row: dict[str, Any]) -> None:
    """A backend's main figures on the terminal."""
    print(f"\n{name}: found {row['found']:.3f} ({row['faces']})")
    if "nme" not in row:
        return
    for key in ("raw", "less_bias"):
        print(f"  NME {key:9s}", "  ".join(f"{n} {v[key]:.2f}" for n, v in row["nme"].items()))
    for key in ("r", "slope"):
        told = (f"{n} {v[key]:.3f}" for n, v in row["openings"].items())
        print(f"  {key:13s}", "  ".join(told))
    auc = row["closed_eye_auc"]
    print(f"  closed eyes {row['closed_eyes']}, AUC", "-" if auc is None else f"{auc:.3f}")
    print(f"  f_exp, r to the human points' fit {row['f_exp_r_to_human']:.3f}", flush=True)


def targets(content: dict[str, Any]) -> list[Target]:
    """What the default backend is to reach; values are None where nothing was measured."""
    name = content.get("default")
    row: dict[str, Any] = content.get("backends", {}).get(name, {})
    nme, moved = row.get("nme"), row.get("openings")
    worst = None
    if name == MESH and nme:
        worst = 1.0
    elif beside := content.get("pairs", {}).get(f"{name} - {MESH}"):
        worst = max(beside["ratio"][region]["value"] for region in REGIONS)

    trained = content.get("fine_tuned")

    def r(opening: str) -> float | None:
        return None if moved is None else moved[opening]["r"]

    return [
        Target("found", row.get("found"), 0.99, "higher"),
        Target("nme_inner", nme and nme["inner"]["raw"], 2.5, "lower"),
        Target("nme_inner_less_bias", nme and nme["inner"]["less_bias"], 2.45, "lower"),
        Target("worst_region_over_mesh", worst, 1.0, "lower"),
        Target("lid_gap_r", r("lid_gap"), 0.92, "higher"),
        Target("lip_gap_r", r("lip_gap"), 0.975, "higher"),
        Target("mouth_width_r", r("mouth_width"), 0.955, "higher"),
        Target("brow_height_r", r("brow_height"), 0.91, "higher"),
        Target("brow_distance_r", r("brow_distance"), 0.40, "higher"),
        Target("nme_inner_photos", trained and trained["nme"]["inner"]["raw"], 2.3, "lower"),
    ]


if __name__ == "__main__":
    sys.exit(main())
