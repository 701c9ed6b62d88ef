"""What the compact network's pre-training learns: triplets right, by faces and kind of triplets.

python benchmarks/pretraining.py --json benchmarks/results/pretraining.json
    [--folder FOLDER] [--seed 101] [--quick]

Rendered people; held-out triplets are of people whom the network has not seen; a third of random
answers are right. FEC's form takes 30 triplets of fresh faces a step, the others 600 among the
step's 90 faces, told alike by the AUs of DISFA, or by those of them that BP4D has too. The seed is
not that of orderings.py, whose recipe rests on this table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import Target, write_results
from pretraining_faces import SIZE, make_faces
from work_parts import part_of

from glee.model.checkpoint import CHECKPOINT_FILE, load_checkpoint
from glee.model.data.au_dataset import load_frames
from glee.model.data.augmentation import stored_size
from glee.model.data.triplets import find_triplets
from glee.model.options import pretrain_options
from glee.model.training.pretraining import pretrain, triplet_accuracy
from glee.pipeline.datasets import bp4d, disfa
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.dataset import synthesise_dataset

DATASETS, PEOPLE, FACES = 9, 27, 10
FEC_PEOPLE = 120
SHARED_AUS = tuple(au for au in disfa.AUS if au in bp4d.AUS)


@dataclass(frozen=True)
class Row:
    """people: trained on, before a fifth are held out; 0 for FEC's form."""

    name: str
    people: int
    changes: dict[str, Any]


ROWS = (
    Row("30 a step, FEC's form", 0, {"epochs": 6, "learning_rate": 0.02}),
    Row("600 a step, DISFA's AUs", 240, {"epochs": 1}),
    Row("the same, trained longer", 240, {"epochs": 6}),
    Row("600 a step, DISFA's AUs", 100, {"epochs": 1}),
    Row("600 a step, DISFA's AUs", 27, {"epochs": 1}),
    Row("600 a step, AUs that BP4D has too", 240, {"epochs": 6, "aus": SHARED_AUS}),
)


def fec_faces(folder: Path, people: int, faces: int, seed: int) -> Path:
    """A work folder in FEC's layout, with its table of triplets."""
    data, work = folder / "data/fec", folder / "work/fec"
    if not (data / ".complete").exists():
        synthesise_dataset(data, layout="fec", subjects=people, frames=faces, size=SIZE, seed=seed)
        (data / ".complete").touch()
    options = PreprocessOptions(detector="auto")
    preprocess("fec", data, work, options=options, workers=1, progress=False)
    return work


def measure(work: Path, run: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Pre-train, as far as it is not, and count triplets of both kinds of people."""
    options = pretrain_options("compact", **changes)
    began = time.process_time()
    summary = pretrain(work, run, options, device="cpu")
    seconds = time.process_time() - began
    checkpoint = load_checkpoint(run / CHECKPOINT_FILE)
    network, size = checkpoint.network(), checkpoint.config.image_size
    frames = load_frames(
        work, size=stored_size(size), aus=options.aus or None, with_fit=False, labelled=False
    )
    own, _ = find_triplets(work, frames, count=options.triplets, seed=options.seed)
    return {
        "steps": summary.steps,
        "own": triplet_accuracy(network, frames, own, size, torch.device("cpu")),
        "held_out": summary.accuracy,
        "held_out_triplets": summary.held_out,
        "seconds": seconds,
    }


def main() -> None:
    """Everything, written to --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="Data and runs; kept. [default: a new one]")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="pretraining-"))
    sizes = (1, 6, 8) if given.quick else (DATASETS, PEOPLE, FACES)
    every = make_faces(folder, *sizes, seed=given.seed)
    rows = []
    for number, row in enumerate(ROWS[1:3] if given.quick else ROWS):
        changes = {**row.changes, "seed": given.seed, **({"epochs": 1} if given.quick else {})}
        if row.people:
            people = sorted(path.name for path in (every / "shards").iterdir())[: row.people]
            work = part_of(every, people, folder / f"work/faces-{len(people)}")
        else:
            work = fec_faces(folder, FEC_PEOPLE, FACES, given.seed)
        seen = round(0.8 * (row.people or FEC_PEOPLE))
        rows.append(
            {"name": row.name, "people": seen, **measure(work, folder / f"runs/{number}", changes)}
        )
        print(f"{row.name:36s} held out {100 * rows[-1]['held_out']:.1f} %", flush=True)
    content = {"synthetic": True, "quick": given.quick, "seed": given.seed, "rows": rows}
    content["faces_of_a_person"] = sizes[2]
    best = None if given.quick else max(row["held_out"] for row in rows)
    write_results(given.json, content, [Target("held_out_triplets_right", best, 0.5, "higher")])


if __name__ == "__main__":
    main()
