"""Real clips: Action Units that are plainly there or plainly not, and blinks, by the default path.

python benchmarks/real_clips.py --json OUT [--mediapipe PYTHON] [--task FILE] [--seed N] [--quick]

Frames were coded by eye (au_seen.csv beside the clips). f_exp of `preprocess` and `fit3d`, less
what is usual for the person, becomes a score for each AU. MediaPipe's Face Landmarker runs beside
it where the Python of its environment is given. --quick leaves out the two clips that show blinks
only. The seed changes nothing: nothing is drawn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from default_path import fitted_clips
from landmark_videos import BLINKS, REAL
from machine import Target, write_results
from mediapipe_peer import run_peer
from seen_action_units import SEEN, Scored, blink_counts, read_seen, seen_areas

from glee.errors import DataError, GleeError
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames

TASK = REAL.parent / "models" / "face_landmarker.task"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than 50 seconds")
    parser.add_argument("--mediapipe", type=Path, help="Python of an environment with mediapipe")
    parser.add_argument("--task", type=Path, default=TASK)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    content: dict[str, Any] = {
        "benchmark": "real_clips",
        "seed": arguments.seed,
        "quick": arguments.quick,
        "rows": {},
    }
    if not SEEN.is_file():
        print(f"{SEEN}: it is not there; nothing is measured")
        write_results(arguments.json, content, targets(content))
        return 0
    try:
        content["rows"] = judge(arguments)
    except (GleeError, RuntimeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    write_results(arguments.json, content, targets(content))
    return 0


def judge(arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of glee's default and of the peer. Raises DataError where a clip is missing."""
    seen = read_seen()
    names = sorted({clip for clip, _, _, _ in seen})
    names += [] if arguments.quick else [name for name in BLINKS if name not in names]
    for name in names:
        if not (REAL / name).is_file():
            raise DataError(f"{REAL / name}: the clip is missing; it is named in {SEEN.name}")
    clips = {"glee": default_clips(names)}
    if arguments.mediapipe is not None:
        clips["mediapipe"] = {
            name: peer_clip(REAL / name, arguments.mediapipe, arguments.task) for name in names
        }
    rows = {}
    for who, own in clips.items():
        rows[who] = {"seen": seen_areas(own, seen), "blinks": blink_counts(own)}
        show(who, rows[who])
    return rows


def default_clips(names: list[str]) -> dict[str, Scored]:
    """f_exp of the whole clips by file name, as the command line's stages give it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).symlink_to(REAL / name)
        fitted = fitted_clips(Path(folder))
    basis = load_model().expression_names
    return {
        name: Scored(basis, fitted[Path(name).stem].f_exp, fitted[Path(name).stem].landmarks)
        for name in names
    }


def peer_clip(path: Path, python: Path, task: Path) -> Scored:
    """MediaPipe's blendshapes of a clip, from the frames that glee reads."""
    clip = Clip("benchmark", path.stem, path.stem, path.parent, path)
    index = index_frames(clip)
    width, height = index.size
    blank = np.zeros((height, width, 3), np.uint8)
    frames = [blank if f is None else f for f in read_frames(clip, index, 0, index.count)]
    names, values, _ = run_peer(python, task, np.stack(frames), [0])
    return Scored(names, values)


def show(who: str, row: dict[str, Any]) -> None:
    """Main figures on the terminal."""
    seen = row["seen"]
    areas = "  ".join(f"AU{au} {area:.2f}" for au, area in seen["auc"].items())
    others = "  ".join(f"{key} {one['mean']:.3f}" for key, one in seen["by_baseline"].items())
    print(f"\n{who}: mean area {seen['mean']:.3f}; without a face {seen['without_face']}")
    print(f"  {areas}\n  baselines: {others}")
    for way, count in row["blinks"].items():
        print(
            f"  blinks by {way}: {count['found']} of {count['counted']}, false {count['false']}",
            *count["false_at"],
            flush=True,
        )


def targets(content: dict[str, Any]) -> list[Target]:
    """What the default path is to reach.

    Blinks that were counted are looked for in f_exp, which is what a user's tables hold. The lid
    gap of the raw landmarks stands beside it: it falls below its limit only where lids close, and
    one of the counted blinks (WolfgangLanger_Pexels, frame 202) leaves half the iris in sight.
    False ones count by either.
    """
    row = content["rows"].get("glee")
    ways = {} if row is None else row["blinks"]
    counted = ways["f_exp"]["found"] if ways else None
    false = max((one["false"] for one in ways.values()), default=None)
    every = sum(len(frames) for _, frames in BLINKS.values())
    return [
        Target("au_seen_auc", row and row["seen"]["mean"], 0.95, "higher"),
        Target("counted_blinks", counted, every, "higher"),
        Target("false_blinks", false, 0, "lower"),
    ]


if __name__ == "__main__":
    sys.exit(main())
