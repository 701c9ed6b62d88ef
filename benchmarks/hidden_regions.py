"""What is hidden is said: visibility by region of faces on photographs and in clips.

python benchmarks/hidden_regions.py --json OUT [--faces DIR] [--sheet PNG] [--seed N] [--quick]

Photographs as they are, and with real hands cut out of a clip, or boxes and pieces of other
photographs' backgrounds, pasted before the face; none of it is of the head's training, which saw
renders alone. Truth is the share of a part's human landmarks that is covered. Then the clips: those
without anything before the face, the frames with a hand of the Pexels clip, and mask.mp4, through
`analyze` with what is hidden heeded and not. --quick takes every sixth photograph and frame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from landmark_videos import REAL
from machine import Target, write_results
from numpy.typing import NDArray
from pasted_things import Pasted, paste_hand, paste_thing, read_hands, reduced
from photographs import FACES, Photograph, read_photographs

from glee.errors import GleeError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.visibility import PARTS, REGIONS, by_region
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.detector import Detector
from glee.pipeline.landmarks.mesh.architecture import CROP_SIDE
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.networks import FaceMesh, load_into
from glee.pipeline.landmarks.mesh.visibility import SeeingMesh, VisibilityHead
from glee.pipeline.landmarks.mesh.weights import VISIBILITY_PATH, WEIGHTS_PATH, read_weights
from glee.pipeline.landmarks.visibility import seen_parts
from glee.pipeline.options import AnalyzeOptions

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]

PEXELS = "WolfgangLanger_Pexels.mp4"
# Frames of the Pexels clip: nothing before the face, and by region those where a hand plainly is.
PEXELS_CLEAN = (*range(0, 50), *range(245, 472))
PEXELS_HAND = {"mouth": range(62, 95), "nose": range(100, 132)}
CLEAN_CLIPS = ("single_face", *(f"driving_d{number}" for number in (3, 9, 10, 19, 20)))
MASK = REAL.parent / "videos" / "mask.mp4"
MASKED = ("nose", "mouth", "jaw")
# Of a part, the share of covered landmarks from which it is hidden, and to which it is seen.
HIDDEN, SEEN = 0.6, 0.1
HALF = 0.5
LEAST = 8  # faces with a part hidden, for a figure
EVERY, QUICK = 1, 6
CLIP_EVERY = 8
REPEATS = 200  # of which the least time counts
STRANGE = ("negative", "drawing", "grey statue")
Rows = dict[str, Any]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--faces", type=Path, default=FACES)
    parser.add_argument("--sheet", type=Path, help="write a picture of photographs and figures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a first look")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    content: Rows = {"benchmark": "hidden_regions", "seed": arguments.seed}
    content |= {"quick": arguments.quick, "rows": {}}
    rows = content["rows"]
    try:
        detector = MeshDetector()
        if arguments.faces.is_dir() and REAL.is_dir():
            rows["photographs"] = of_photographs(detector, arguments)
        else:
            print(f"{arguments.faces} or {REAL}: not there; photographs are left out")
        if REAL.is_dir():
            step = CLIP_EVERY * (QUICK if arguments.quick else 1)
            rows["clean_clips"] = of_clean_clips(detector, step)
            if not arguments.quick:
                rows["hand"] = of_hand_frames()
                rows["mask"] = of_mask()
        else:
            print(f"{REAL}: not there; clips are left out")
        rows["milliseconds"] = milliseconds()
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    write_results(arguments.json, content, targets(content))
    return 0


@dataclass(frozen=True, eq=False)
class Judged:
    """A photograph with something before its face or nothing: what was said and what is so."""

    name: str
    kind: str
    picture: Image
    said: Floats  # (7,), as PARTS
    covered: Floats  # (7,), share of the part's landmarks


def of_photographs(detector: MeshDetector, arguments: argparse.Namespace) -> Rows:
    """Areas, hits and false alarms by part."""
    photographs, _ = read_photographs(arguments.faces)
    photographs = photographs[:: QUICK if arguments.quick else EVERY]
    rng = np.random.default_rng([arguments.seed, 17])
    judged = list(_judged(detector, photographs, rng))
    clean = [one for one in judged if one.kind == "clean"]
    rows: Rows = {"count": len(clean), "clean": _false_alarms([one.said for one in clean])}
    for kind in ("hand", "thing"):
        own = [one for one in judged if one.kind == kind]
        rows[kind] = {part: _area(own, clean, index) for index, part in enumerate(PARTS)}
        known = [row for row in rows[kind].values() if row["hidden"] >= LEAST]
        for figure in ("area", "hit"):
            rows[kind][f"mean_{figure}"] = float(np.mean([row[figure] for row in known]))
        print(f"{kind}: area {rows[kind]['mean_area']:.3f}, hit {rows[kind]['mean_hit']:.2f}")
    rows["strange"] = _strange(detector, photographs[: 60 if not arguments.quick else 10])
    if arguments.sheet is not None:
        _sheet(arguments.sheet, judged, rng)
    return rows


def _judged(
    detector: MeshDetector, photographs: list[Photograph], rng: np.random.Generator
) -> Iterator[Judged]:
    hands = read_hands(REAL / PEXELS)
    for photograph in photographs:
        picture, points = reduced(photograph.picture, photograph.landmarks)
        other = photographs[int(rng.integers(len(photographs)))]
        nothing = np.zeros(picture.shape[:2], np.float32)
        for kind, pasted in (
            ("clean", Pasted(picture, nothing)),
            ("hand", paste_hand(picture, points, hands, rng)),
            ("thing", paste_thing(picture, points, other, rng)),
        ):
            said = said_of(detector, pasted.picture, points)
            yield Judged(photograph.name, kind, pasted.picture, said, _covered(pasted, points))


def said_of(detector: MeshDetector, picture: Image, near: Floats) -> Floats:
    """How far each part is seen, (7,), by the detector that a tracker led to these landmarks."""
    first, _ = detector.landmarks(picture, detector.box_of(near.astype(np.float32)))
    points, _, seen = detector.landmarks_seen(picture, detector.box_of(first))
    size = picture.shape[1], picture.shape[0]
    return seen_parts(detector.landmarks_of(points), size, seen)


def _covered(pasted: Pasted, points: Floats) -> Floats:
    height, width = pasted.cover.shape
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    there = pasted.cover[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > HALF
    # Beyond the picture's border nothing can be pasted: those landmarks are not counted.
    return np.array(
        [
            there[list(part)][inside[list(part)]].mean() if inside[list(part)].any() else 0.0
            for part in PARTS.values()
        ]
    )


def _area(own: list[Judged], clean: list[Judged], part: int) -> Rows:
    """Of one part: area under the curve, share of the hidden found, of the seen called hidden."""
    hidden = np.array([one.said[part] for one in own if one.covered[part] >= HIDDEN])
    seen = [one.said[part] for one in own if one.covered[part] <= SEEN]
    whole = np.array([*seen, *(one.said[part] for one in clean)])
    row: Rows = {"hidden": len(hidden), "false": float((whole < HALF).mean())}
    if len(hidden):
        above = (hidden[:, None] < whole).mean() + 0.5 * (hidden[:, None] == whole).mean()
        row |= {"area": float(above), "hit": float((hidden < HALF).mean())}
    return row


def _false_alarms(said: list[Floats]) -> Rows:
    """Of faces without anything before them, the share called hidden, by region and all."""
    regions = by_region(np.stack(said))
    by = dict(zip(REGIONS, (regions < HALF).mean(0).tolist(), strict=True))
    return {"called_hidden": float((regions < HALF).mean()), "by_region": by}


def _strange(detector: MeshDetector, photographs: list[Photograph]) -> Rows:
    """What is said of a negative, a drawing and a grey statue made of a photograph."""
    said = defaultdict(list)
    for photograph in photographs:
        picture, points = reduced(photograph.picture, photograph.landmarks)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        dodged = cv2.divide(grey, 255 - cv2.GaussianBlur(255 - grey, (0, 0), 5), scale=256)
        stone = cv2.bilateralFilter(grey, 9, 40, 9).astype(float) * 0.45 + 110
        for kind, made in (
            ("negative", 255 - picture),
            ("drawing", cv2.merge([dodged] * 3)),
            ("grey statue", cv2.merge([stone.astype(np.uint8)] * 3)),
        ):
            found = len(detector.detect(made, thorough=True)) > 0
            said[kind].append([found, *by_region(said_of(detector, made, points)[None])[0]])
    return {
        kind: dict(zip(("found", *REGIONS), np.mean(said[kind], axis=0).tolist(), strict=True))
        for kind in STRANGE
    }


def of_clean_clips(detector: MeshDetector, every: int) -> Rows:
    """False alarms in clips of faces with nothing before them, clip by clip."""
    rows: Rows = {}
    for name in (*CLEAN_CLIPS, Path(PEXELS).stem):
        said = [
            seen
            for frame, seen in _clip_said(detector, REAL / f"{name}.mp4", every)
            if name != Path(PEXELS).stem or frame in PEXELS_CLEAN
        ]
        rows[name] = {"frames": len(said), **_false_alarms(said)}
        print(f"{name}: called hidden {rows[name]['called_hidden']:.4f}", flush=True)
    counts = np.array([row["frames"] for row in rows.values()])
    shares = np.array([row["called_hidden"] for row in rows.values()])
    return {"clips": rows, "called_hidden": float((counts * shares).sum() / counts.sum())}


def _clip_said(detector: Detector, path: Path, every: int) -> Iterator[tuple[int, Floats]]:
    clip = Clip("benchmark", path.stem, path.stem, path.parent, path)
    index = index_frames(clip)
    for frame, picture in enumerate(read_frames(clip, index, 0, index.count)):
        if frame % every or picture is None:
            continue
        found = detector.detect(picture, thorough=True)
        if found:
            points, _ = detector.landmarks(picture, found[0][0])
            yield frame, said_of(detector, picture, points)


def of_hand_frames() -> Rows:
    """The Pexels clip through `analyze`: regions, quality and coefficients in the hand's frames."""
    tables = {heeded: _table(REAL / PEXELS, heeded) for heeded in (True, False)}
    rows: Rows = {}
    for region, frames in PEXELS_HAND.items():
        own = tables[True][f"visible_{region}"][frames]
        rows[region] = {
            "frames": len(own),
            "median_visible": float(np.median(own)),
            "hidden": float((own < HALF).mean()),
            "doubted": float((own < 0.8).mean()),
        }
    hand, clean = PEXELS_HAND["mouth"], PEXELS_CLEAN
    for heeded, table in tables.items():
        frown = np.maximum(*(table[f"mouthFrown{side}"] for side in ("Left", "Right")))
        dimple = np.maximum(*(table[f"mouthDimple{side}"] for side in ("Left", "Right")))
        rows["heeded" if heeded else "not_heeded"] = {
            "largest_frown": float(frown[hand].max()),
            "largest_dimple": float(dimple[hand].max()),
            "quality_hand": float(np.median(table["quality"][hand])),
            "quality_clean": float(np.median(table["quality"][list(clean)])),
        }
    same = [np.abs(tables[True][n] - tables[False][n])[list(clean)].max() for n in ARKIT_NAMES]
    rows["largest_change_clean"] = float(max(same))
    print(rows)
    return rows


def of_mask() -> Rows:
    """mask.mp4 through `analyze`: what is said of each region, and of quality."""
    table = _table(MASK, heeded=True)
    rows = {region: float(np.median(table[f"visible_{region}"])) for region in REGIONS}
    hidden = np.stack([table[f"visible_{region}"] < HALF for region in MASKED])
    return {**rows, "hidden": float(hidden.mean()), "quality": float(np.median(table["quality"]))}


def _table(path: Path, heeded: bool) -> dict[str, Floats]:
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        options = AnalyzeOptions(detector="mesh", visibility=heeded)
        analyze([path], Path(folder), options=options, progress=False)
        table = pq.read_table(Path(folder) / f"{path.stem}.parquet")
    names = [name for name in table.column_names if name != "reason"]
    return {name: table[name].to_numpy(zero_copy_only=False).astype(float) for name in names}


def milliseconds() -> Rows:
    """A face through the mesh network alone, and with the head beside it; the least of many."""
    mesh, head = FaceMesh(), VisibilityHead()
    load_into(mesh, read_weights(WEIGHTS_PATH), "mesh")
    load_into(head, read_weights(VISIBILITY_PATH), "visibility")
    seeing = SeeingMesh(mesh, head).requires_grad_(False).to(memory_format=torch.channels_last)
    crop = torch.full((1, 3, CROP_SIDE, CROP_SIDE), 0.5)
    crop = crop.contiguous(memory_format=torch.channels_last)
    best = {"mesh": float("inf"), "with_head": float("inf")}
    with warnings.catch_warnings(), torch.inference_mode():
        # PyTorch warns of sizes that a trace takes as fixed, as they are here.
        warnings.simplefilter("ignore")
        traced = {
            name: torch.jit.freeze(torch.jit.trace(network.eval(), crop, check_trace=False))
            for name, network in (("mesh", mesh), ("with_head", seeing))
        }
        for _ in range(REPEATS):
            for name, network in traced.items():
                begin = time.perf_counter()
                network(crop)
                best[name] = min(best[name], 1e3 * (time.perf_counter() - begin))
    return {**best, "head": best["with_head"] - best["mesh"]}


def _sheet(path: Path, judged: list[Judged], rng: np.random.Generator) -> None:
    """Photographs with what is said of each region written on them."""
    wrong = [j for j in judged if j.kind == "clean" and (by_region(j.said[None]) < 0.7).any()]
    pasted = [judged[i] for i in rng.permutation(len(judged)) if judged[i].kind != "clean"]
    tiles = [_tile(one) for one in (wrong[:12] + pasted)[:40]]
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % 8)
    rows = [np.hstack(tiles[start : start + 8]) for start in range(0, len(tiles), 8)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _tile(one: Judged, side: int = 240) -> Image:
    scale = side / max(one.picture.shape[:2])
    small = cv2.resize(one.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.zeros((side, side, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small[:side, :side]
    for row, (region, value) in enumerate(zip(REGIONS, by_region(one.said[None])[0], strict=True)):
        colour = (255, 60, 60) if value < HALF else (90, 255, 90)
        place = (4, 14 + 14 * row)
        cv2.putText(tile, f"{region} {value:.2f}", place, 0, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(tile, f"{region} {value:.2f}", place, 0, 0.45, colour, 1, cv2.LINE_AA)
    return tile


def targets(content: Rows) -> list[Target]:
    """What is to be reached; what was not measured has no value."""
    rows = content["rows"]
    photographs, hand, mask = (rows.get(name) for name in ("photographs", "hand", "mask"))
    clips = rows.get("clean_clips")
    clean = photographs and photographs["clean"]["called_hidden"]
    return [
        Target("hand_area", photographs and photographs["hand"]["mean_area"], 0.97, "higher"),
        Target("hand_hit", photographs and photographs["hand"]["mean_hit"], 0.75, "higher"),
        Target("thing_area", photographs and photographs["thing"]["mean_area"], 0.95, "higher"),
        Target("false_photographs", clean, 0.02, "lower"),
        Target("false_clips", clips and clips["called_hidden"], 0.01, "lower"),
        Target("pexels_mouth_doubted", hand and hand["mouth"]["doubted"], 0.95, "higher"),
        Target("pexels_nose_hidden", hand and hand["nose"]["hidden"], 0.95, "higher"),
        Target("pexels_frown", hand and hand["heeded"]["largest_frown"], 0.35, "lower"),
        Target("mask_hidden", mask and mask["hidden"], 1.0, "higher"),
        Target("head_milliseconds", rows["milliseconds"]["head"], 0.5, "lower"),
    ]


if __name__ == "__main__":
    sys.exit(main())
