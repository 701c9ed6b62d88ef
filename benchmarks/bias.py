"""Whether landmarks and coefficients are as good for all: by skin tone, sex and age, on renders.

python benchmarks/bias.py --json benchmarks/results/bias.json

Each person is rendered with a trait changed and nothing else (same identity otherwise, movements,
light, hair, noise), and goes through `glee preprocess` and `glee fit3d` as they are by default.
Renders show what a difference of shape or brightness does. They hold no habit of photographs, and
the refiner was trained on renders of this model with all these traits: a small gap here is no
proof of a small gap on people.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bias_people import CONTRAST, Person, levels, random_person, write_clip
from machine import Target, write_results
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import nme
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard

PEOPLE, FRAMES = 8, 50
QUICK_PEOPLE, QUICK_FRAMES = 2, 20
SEEDS_BEFORE = 9000  # other seeds than those of tests, demos and other benchmarks
MOVED = 0.05  # standard deviation of a coefficient that is said to move
DRAWS = 2000  # of people, for intervals
# Gaps between the ends of a trait that are aimed at: NME by that share of the mean, r by so much.
NME_GAP, R_GAP = 0.15, 0.05

Rows = dict[str, dict[str, NDArray[np.float64]]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a first look")
    arguments = parser.parse_args()
    count, frames = (QUICK_PEOPLE, QUICK_FRAMES) if arguments.quick else (PEOPLE, FRAMES)
    first = SEEDS_BEFORE + 100 * arguments.seed
    people = [random_person(first + number, frames) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), people)
    rng = np.random.default_rng(arguments.seed)
    traits = {trait: summary(rows, trait, rng) for trait in CONTRAST}
    for trait, content in traits.items():
        print(trait, content)
    content = {
        "benchmark": "bias",
        "seed": arguments.seed,
        "people": count,
        "frames": frames,
        "traits": traits,
    }
    write_results(arguments.json, content, targets(traits))


def measured(folder: Path, people: list[Person]) -> Rows:
    """Level -> measure -> (people,): the default path on every person at every level."""
    truths = {}
    for _, level in levels():
        for number, person in enumerate(people):
            name = f"{level.replace(' ', '-')}_{number}"
            truths[name] = write_clip(folder / "data" / name, person, level)
    options = PreprocessOptions(detector="auto")
    work = folder / "work"
    preprocess("folder", folder / "data", work, options=options, workers=1, progress=False)
    fit3d(work, workers=1, progress=False)
    by_name = {path.parent.parent.name: path for path in list_shards(work)}
    return {
        level: _stacked(
            [
                figures(by_name[name], truths[name], person)
                for number, person in enumerate(people)
                for name in [f"{level.replace(' ', '-')}_{number}"]
            ]
        )
        for _, level in levels()
    }


def figures(path: Path, truth: NDArray[np.float64], person: Person) -> dict[str, float]:
    """Share of valid frames, NME of the inner points, median r of the coefficients that move."""
    shard = read_shard(path)
    valid = shard.frames.valid
    found = shard.fit.f_exp if shard.fit is not None else np.full_like(person.f_exp, np.nan)
    good = np.isfinite(found).all(1)
    moved = np.flatnonzero(person.f_exp.std(0) > MOVED)
    with np.errstate(invalid="ignore"):
        r = [np.corrcoef(found[good, k], person.f_exp[good, k])[0, 1] for k in moved]
    return {
        "valid": float(valid.mean()),
        "nme": nme(shard.frames.landmarks[valid].astype(float), truth[valid]),
        "r": float(np.median(np.nan_to_num(r))),
    }


def _stacked(rows: list[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def summary(rows: Rows, trait: str, rng: np.random.Generator) -> dict[str, Any]:
    """Means of each level; and of the difference between the ends, with a 95 % interval."""
    means = {
        level: {name: float(values.mean()) for name, values in rows[level].items()}
        for name_of, level in levels()
        if name_of == trait
    }
    low, high = CONTRAST[trait]
    gaps = {}
    for name in rows[low]:
        difference = rows[high][name] - rows[low][name]
        drawn = rng.integers(0, len(difference), (DRAWS, len(difference)))
        ends = np.quantile(difference[drawn].mean(1), (0.025, 0.975))
        gaps[name] = {"mean": float(difference.mean()), "interval": ends.tolist()}
    return {"levels": means, "ends": [low, high], "gaps": gaps}


def targets(traits: dict[str, Any]) -> list[Target]:
    """The gaps between the ends of each trait."""
    rows = []
    for trait, content in traits.items():
        mean = np.mean([level["nme"] for level in content["levels"].values()])
        gap, name = content["gaps"], trait.replace(" ", "_")
        rows.append(Target(f"nme_gap_{name}", abs(gap["nme"]["mean"]) / mean, NME_GAP, "lower"))
        rows.append(Target(f"r_gap_{name}", abs(gap["r"]["mean"]), R_GAP, "lower"))
    return rows


if __name__ == "__main__":
    main()
