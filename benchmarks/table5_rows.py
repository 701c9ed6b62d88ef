"""Do all orderings of Table 5 come out, from a pre-training that has seen no Action Unit?

python benchmarks/table5_rows.py --json benchmarks/results/table5_rows.json
    [--folder FOLDER] [--works PEOPLE FACES] [--seeds 3] [--seed 11] [--epochs 3] [--quick]

The people, their split and their fit are those of orderings.py: 36 rendered people, 24 to train on
and 12 to test. The pre-training sees faces of other people, and no label: two faces are alike where
their fitted f_exp is near, coefficient by coefficient above or below its median over all faces.
Each seed has pre-trainings of its own, for the full network, for "w/o LB" and for the row without
self-attention. Data and runs stay in --folder, where a killed benchmark goes on; --json is written
after every row, and says how many seeds each row has.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Target, write_results
from orderings import (
    CHANGES,
    FRAMES,
    NO_MARKS,
    TESTED,
    TRAINED,
    Row,
    make_people,
    measure,
    split_file,
)
from pretraining_faces import WORKERS, make_faces

from glee.model.options import pretrain_options
from glee.model.prediction.evaluation import f1_difference
from glee.model.training.pretraining import pretrain
from glee.pipeline.fit3d import fit3d
from glee.pipeline.shards.hdf5 import open_shard
from glee.pipeline.shards.shard import list_shards, read_shard, shard_path, write_shard

# Of the pre-training: datasets of so many people, faces of each person.
DATASETS, FACE_PEOPLE, FACES = 1, 9, 120
FULL = "GLEE-Net"
# Table 5, with the pre-training that each starts from; the last is no row of the paper.
ROWS = {
    Row(FULL, "full", True): "full",
    Row("w/o pretrain", "full", False): "",
    Row("w. fixed GB & LB", "fixed-gb-lb", True): "full",
    Row("w. ResNet", "resnet", False): "",
    Row("w/o GB & LB", "no-gb-lb", False): "",
    Row("w/o 3DGB", "no-3dgb", True): "full",
    Row("w/o LB", "no-lb", True): "no-lb",
    Row("w/o TC", "no-tc", True): "full",
    Row("w/o joint FC", "no-joint-fc", True): "full",
    Row("w/o self-attention", "no-attention", True): "no-attention",
}


def unlabelled(faces: Path, out: Path) -> Path:
    """The faces' shards with bits of f_exp in place of labels, and a dataset's name without AUs."""
    if (out / ".complete").exists():
        return out
    shards = [read_shard(path) for path in list_shards(faces)]
    fitted = np.concatenate([shard.fit.f_exp[shard.frames.valid] for shard in shards])
    median = np.nanmedian(fitted, 0)
    # coefficients that never move say nothing
    moving = np.flatnonzero(np.nanstd(fitted, 0) > 0.02)
    names = tuple(f"AU{number + 1}" for number in range(len(moving)))
    for shard in shards:
        path = shard_path(out, shard.header.subject, shard.header.clip, shard.header.start)
        bits = shard.fit.f_exp[:, moving] > median[moving]
        with open_shard(faces / "shards" / path.relative_to(out / "shards")) as file:
            pool = file["crops/data"][()]
        ends = zip(shard.crop_offset[:-1], shard.crop_offset[1:], strict=True)
        write_shard(
            path,
            replace(shard.header, dataset="faces", au_names=names, label_kind="occurrence"),
            shard.frames,
            [pool[begin:end].tobytes() for begin, end in ends],
            bits.astype(np.int8),
            encoding=shard.encoding,
            crop_size=shard.crop_size,
        )
    (out / ".complete").touch()
    return out


def pretrained(
    folder: Path, faces: Path, ablation: str, seed: int, changes: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The run that rows of this ablation start from, and how good it is."""
    run = folder / f"runs/pretraining-{ablation}-{seed}"
    began = time.process_time()
    options = pretrain_options("compact", ablation=ablation, seed=seed, **changes)
    summary = pretrain(faces, run, options, device="cpu")
    return run, {
        "triplet_accuracy": summary.accuracy,
        "held_out": summary.held_out,
        "steps": summary.steps,
        "seconds": time.process_time() - began,
    }


def run_of(folder: Path, row: Row, seed: int) -> Path:
    """Where a row's run lies."""
    return folder / f"runs/{row.name.translate(NO_MARKS).replace(' ', '-')}-{seed}"


def less_full(folder: Path, rows: dict[str, list[dict[str, Any]]], seeds: list[int]) -> Any:
    """The full network less each row, seed by seed: mean, range, and each seed's interval."""
    gaps = {}
    for row in ROWS:
        done = min(len(rows[row.name]), len(rows[FULL]))
        if row.name == FULL or not done:
            continue
        pairs = [
            f1_difference(run_of(folder, next(iter(ROWS)), seed), run_of(folder, row, seed))
            for seed in seeds[:done]
        ]
        values = [gap for gap, _ in pairs if gap is not None]
        gaps[row.name] = {
            "seeds": done,
            "mean": float(np.mean(values)),
            "lowest": min(values),
            "highest": max(values),
            "intervals": [interval for _, interval in pairs],
        }
    return gaps


def main() -> None:
    """Everything, written to --json after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="Data and runs; kept. [default: a new one]")
    parser.add_argument("--works", type=Path, nargs=2, help="Fitted shards of earlier runs.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="table5-rows-"))
    folder.mkdir(parents=True, exist_ok=True)
    people, frames = (6, 6) if given.quick else (TRAINED + TESTED, FRAMES)
    sizes = (1, 6, 8) if given.quick else (DATASETS, FACE_PEOPLE, FACES)
    if given.works:
        work, faces = given.works
    else:
        work = make_people(folder, given.seed, people, frames)
        faces = make_faces(folder, *sizes, seed=given.seed + 100)
        fit3d(faces, workers=WORKERS, progress=False)
    split = split_file(folder, work, given.seed)
    plain = unlabelled(faces, folder / "work/unlabelled")
    short = {"epochs": 1 if given.quick else given.epochs}
    seeds = list(range(given.seed, given.seed + (1 if given.quick else given.seeds)))
    rows: dict[str, list[dict[str, Any]]] = {row.name: [] for row in ROWS}
    started: dict[str, dict[str, Any]] = {}
    for seed in seeds:
        for row, ablation in list(ROWS.items())[: 3 if given.quick else None]:
            start = Path()
            if ablation:
                start, quality = pretrained(folder, plain, ablation, seed, short)
                started.setdefault(f"{ablation}, seed {seed}", quality)
            run = run_of(folder, row, seed)
            rows[row.name].append(measure(row, run, work, start, split, seed, {**CHANGES, **short}))
            print(
                f"seed {seed}  {row.name:20s} F1 {100 * rows[row.name][-1]['f1']:.1f}", flush=True
            )
            content = {
                "synthetic": True,
                "quick": given.quick,
                "trained": people - round(people * TESTED / (TRAINED + TESTED)),
                "tested": round(people * TESTED / (TRAINED + TESTED)),
                "pretrained_on": len({path.parts[-3] for path in list_shards(faces)}),
                "epochs": short["epochs"],
                "rows": rows,
                "pretraining": started,
                "full_less": less_full(folder, rows, seeds),
            }
            write_results(given.json, content, orderings_met(content, quick=given.quick))


def orderings_met(content: dict[str, Any], *, quick: bool) -> list[Target]:
    """The paper has the full network above every other row."""
    return [
        Target(f"full_less {name}", None if quick else gap["mean"], 0.0, "higher")
        for name, gap in content["full_less"].items()
    ]


if __name__ == "__main__":
    main()
