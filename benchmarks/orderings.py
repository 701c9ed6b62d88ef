"""Do the paper's orderings come out? The full model, without branches, without pre-training.

python benchmarks/orderings.py --json benchmarks/results/orderings.json --plot docs/orderings.png
    [--folder FOLDER] [--works PEOPLE FACES] [--seeds 3] [--seed 11] [--quick]

36 rendered people, 24 to train on and 12 to test, the compact network, faces of 194 other people
for the pre-training, as pretraining.py chose it on people of another seed. Data and runs stay in
--folder, where a killed benchmark goes on. f_exp is fitted as the paper has it: each frame alone
(one f_shape a frame), with weights of 1e-4, and taken as it is, not relative to the person; the
people, the split and the recipe are the same for all rows; each seed has a pre-training of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Target, write_results
from pretraining_faces import WORKERS, make_faces

from glee.model.options import RANDOM, pretrain_options, train_options
from glee.model.prediction.evaluation import evaluate
from glee.model.training.pretraining import pretrain
from glee.model.training.training import train
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.dataset import synthesise_dataset

TRAINED, TESTED = 24, 12
FRAMES, SIZE, FRAMES_PER_SECOND = 30, (480, 360), 5.0  # of each of a person's two clips
# Of the pre-training: datasets of so many people, faces of each person.
DATASETS, FACE_PEOPLE, FACES = 9, 27, 10
# The compact recipe, but for f_exp as it is.
CHANGES: dict[str, Any] = {"person_specific": False}
PRETRAINING: dict[str, Any] = {"epochs": 6}
NO_MARKS = str.maketrans("", "", "/,")
PAPERS_FIT = Fit3dOptions(identity="frame", expression_weight=1e-4, shape_weight=1e-4)


@dataclass(frozen=True)
class Row:
    """name: in the paper's words. ablation: of config.ABLATIONS. start: whether pre-trained."""

    name: str
    ablation: str
    start: bool


ROWS = (
    Row("full", "full", True),
    Row("w/o 3DGB", "no-3dgb", True),
    Row("w/o GB & LB", "no-gb-lb", False),
    Row("w/o pretrain", "full", False),
    # Not in the paper: what pre-training gives where f_exp does not already say nearly all.
    Row("w/o 3DGB, w/o pretrain", "no-3dgb", False),
)


def make_people(folder: Path, seed: int, people: int, frames: int) -> Path:
    """A fitted work folder of the people, made if need be."""
    data, work = folder / "data/bp4d", folder / "work/bp4d"
    done = data / ".complete"
    if not done.exists():
        synthesise_dataset(
            data,
            layout="bp4d",
            subjects=people,
            frames=frames,
            size=SIZE,
            seed=seed,
            fps=FRAMES_PER_SECOND,
            workers=WORKERS,
        )
        done.touch()
    options = PreprocessOptions(detector="auto")
    preprocess("bp4d", data, work, options=options, workers=WORKERS, progress=False)
    fit3d(work, options=PAPERS_FIT, workers=WORKERS, progress=False)
    return work


def split_file(folder: Path, work: Path, seed: int) -> Path:
    """A split whose fold 1 tests a third of the people, drawn from the seed."""
    names = sorted(path.name for path in (work / "shards").iterdir())
    drawn = np.random.default_rng(seed).permutation(names)
    count = round(len(names) * TESTED / (TRAINED + TESTED))
    path = folder / "split.json"
    parts = {"1": sorted(drawn[:count].tolist()), "2": sorted(drawn[count:].tolist())}
    path.write_text(json.dumps(parts))
    return path


def measure(
    row: Row, run: Path, work: Path, start: Path, split: Path, seed: int, changes: dict[str, Any]
) -> dict[str, Any]:
    """Train a row's network, as far as it is not, and measure it on the 12 people."""
    options = train_options(
        "compact",
        ablation=row.ablation,
        init=str(start) if row.start else RANDOM,
        split=str(split),
        seed=seed,
        **changes,
    )
    summary = train(work, run, options, fold="1", device="cpu")
    results = evaluate(run).results
    return {
        "f1": results["f1"]["mean"],
        "auc": results["auc"]["mean"],
        "f1_by_au": {name: results["f1"][name] for name in results["aus"]},
        "interval": results["f1_interval"],
        "steps": summary.folds[0].steps,
        "loss": summary.folds[0].loss,
    }


def pretrained(
    folder: Path, faces: Path, seed: int, short: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The run that a seed's rows start from, and how good it is."""
    run = folder / f"runs/pretraining-{seed}"
    began = time.process_time()
    options = pretrain_options("compact", **{"seed": seed, **PRETRAINING, **short})
    summary = pretrain(faces, run, options, device="cpu")
    return run, {
        "triplet_accuracy": summary.accuracy,
        "chance": 1 / 3,
        "held_out": summary.held_out,
        "steps": summary.steps,
        "loss": summary.loss,
        "seconds": time.process_time() - began,
    }


def differences(
    rows: dict[str, list[dict[str, Any]]], other: str, one: str = "full"
) -> dict[str, float]:
    """A row less another, seed by seed: mean and spread."""
    pairs = zip(rows[one], rows[other], strict=True)
    gaps = np.array([more["f1"] - less["f1"] for more, less in pairs])
    return {"mean": float(gaps.mean()), "lowest": float(gaps.min()), "highest": float(gaps.max())}


def plot(content: dict[str, Any], path: Path) -> None:
    """Each seed's mean F1 as a dot, their mean as a line, row by row; all, and those near full."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    rows = {name: [100 * run["f1"] for run in runs] for name, runs in content["rows"].items()}
    near = [f1 for scores in rows.values() for f1 in scores if f1 > np.mean(rows["full"]) - 15]
    for axes, whole in zip(panels, (True, False), strict=True):
        for place, (name, f1) in enumerate(rows.items()):
            colour, mark = ("#d55e00", "D") if name == "full" else ("#0072b2", "o")
            axes.plot(f1, [place] * len(f1), mark, color=colour, alpha=0.75, markersize=7)
            axes.plot([np.mean(f1)] * 2, [place - 0.25, place + 0.25], color="#000000", linewidth=2)
            if whole or np.mean(f1) > min(near):
                text = f"{np.mean(f1):.1f}"
                axes.annotate(text, (np.mean(f1), place - 0.28), ha="center", va="bottom", size=9)
        axes.set_ylim(len(rows) - 0.5, -0.8)
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), list(rows))
    panels[0].set_xlim(-3, 100)
    panels[0].set_title("all rows")
    panels[1].set_xlim(min(near) - 0.7, max(near) + 0.7)
    panels[1].set_title("the same, near the full model")
    figure.supxlabel(
        f"mean F1 over 12 AUs on {content['tested']} unseen SYNTHETIC people, %; "
        f"one dot a seed ({content['seeds']}), line: their mean",
        size=9,
    )
    figure.savefig(path, dpi=130, metadata={"Software": None})


def main() -> None:
    """Everything, written to --json and --plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--folder", type=Path, help="Data and runs; kept. [default: a new one]")
    parser.add_argument("--works", type=Path, nargs=2, help="Shards of earlier runs to share.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="orderings-"))
    people, frames = (6, 6) if given.quick else (TRAINED + TESTED, FRAMES)
    sizes = (1, 6, 8) if given.quick else (DATASETS, FACE_PEOPLE, FACES)
    seeds = range(given.seed, given.seed + (1 if given.quick else given.seeds))
    works = given.works or (
        make_people(folder, given.seed, people, frames),
        # Seeds beside those of the people.
        make_faces(folder, *sizes, seed=given.seed + 100),
    )
    work, faces = works
    folder.mkdir(parents=True, exist_ok=True)
    split = split_file(folder, work, given.seed)
    short = {"epochs": 1} if given.quick else {}
    rows: dict[str, list[dict[str, Any]]] = {row.name: [] for row in ROWS}
    started = []
    for seed in seeds:
        start, quality = pretrained(folder, faces, seed, short)
        started.append(quality)
        print(f"seed {seed}  {100 * quality['triplet_accuracy']:.1f} % of triplets", flush=True)
        for row in ROWS:
            run = folder / f"runs/{row.name.translate(NO_MARKS).replace(' ', '-')}-{seed}"
            one = measure(row, run, work, start, split, seed, {**CHANGES, **short})
            rows[row.name].append(one)
            print(f"seed {seed}  {row.name:22s} F1 {100 * one['f1']:.1f}", flush=True)
    gaps = {row.name: differences(rows, row.name) for row in ROWS[1:]}
    on_images = differences(rows, "w/o 3DGB, w/o pretrain", "w/o 3DGB")
    content = {
        "synthetic": True,
        "quick": given.quick,
        "trained": people - round(people * TESTED / (TRAINED + TESTED)),
        "tested": round(people * TESTED / (TRAINED + TESTED)),
        "seeds": len(seeds),
        "changes": CHANGES,
        "pretraining_changes": PRETRAINING,
        "rows": rows,
        "pretraining": started,
        "full_less": gaps,
        "images_pretrained_less": on_images,
    }
    if given.plot:
        plot(content, given.plot)
    targets = [
        Target(f"full_less_{key}", None if given.quick else gaps[name]["mean"], 0.0, "higher")
        for key, name in (
            ("no_3dgb", "w/o 3DGB"),
            ("no_gb_lb", "w/o GB & LB"),
            ("no_pretrain", "w/o pretrain"),
        )
    ]
    gain = None if given.quick else on_images["mean"]
    targets.append(Target("images_pretrained_less_not", gain, 0.0, "higher"))
    write_results(given.json, content, targets)


if __name__ == "__main__":
    main()
