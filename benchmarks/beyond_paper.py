"""What the options beyond the paper change, with many and with few people to learn from.

python benchmarks/beyond_paper.py WORK --json benchmarks/results/beyond_paper.json
    [--starts RUNS] [--plot docs/beyond_paper.png] [--folder FOLDER] [--seeds 3]
    [--adversary-seeds 1] [--seed 11] [--quick]

WORK: fitted shards of 36 rendered people, as `orderings.py` makes them. RUNS: folder with its runs,
whose pre-training of the same seed the full network starts from; without it, from random weights.
12 people are tested; the others, or 6 of them, are trained on. Each option is measured on the
compact network that needs least for it: the loss, the temporal head and the thresholds on f_exp
alone, the adversary, which works on E_exp, on the full network. Options that learn from validation
subjects stand beside a run that keeps these subjects back and does nothing with them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import write_results
from work_parts import part_of

from glee.model.options import train_options
from glee.model.prediction.evaluation import evaluate
from glee.model.training.training import train

TESTED, FEW = 12, 6
VALIDATION = 0.25
# As in orderings.py: f_exp as fitted, a frame alone.
COMMON: dict[str, Any] = {"person_specific": False}


@dataclass(frozen=True)
class Option:
    """name: in words. against: name of the row it is compared with, "" for a starting point."""

    name: str
    against: str
    ablation: str
    changes: dict[str, Any]


KEPT = {"validation": VALIDATION}
OPTIONS = (
    Option("f_exp alone", "", "no-gb-lb", {}),
    Option("asymmetric loss", "f_exp alone", "no-gb-lb", {"loss": "asymmetric"}),
    Option("a quarter kept back", "f_exp alone", "no-gb-lb", KEPT),
    Option("thresholds", "a quarter kept back", "no-gb-lb", {**KEPT, "calibrate": True}),
    Option("temporal head", "a quarter kept back", "no-gb-lb", {**KEPT, "temporal": 2}),
    Option(
        "asymmetric loss, thresholds",
        "thresholds",
        "no-gb-lb",
        {**KEPT, "loss": "asymmetric", "calibrate": True},
    ),
    Option(
        "temporal head, thresholds",
        "thresholds",
        "no-gb-lb",
        {**KEPT, "temporal": 2, "calibrate": True},
    ),
)
ADVERSARY = (
    Option("full network", "", "full", {}),
    Option("identity adversary", "full network", "full", {"identity_adversary": 0.1}),
)


def people_of(work: Path, seed: int) -> tuple[list[str], list[str]]:
    """People to test and to train on, drawn as orderings.py draws them."""
    names = sorted(path.name for path in (work / "shards").iterdir())
    drawn = np.random.default_rng(seed).permutation(names).tolist()
    count = min(TESTED, len(names) // 3)
    return sorted(drawn[:count]), drawn[count:]


def measure(
    work: Path,
    tested: list[str],
    trained: list[str],
    option: Option,
    runs: Path,
    seed: int,
    starts: Path | None,
) -> dict[str, Any]:
    """Train one network, as far as it is not, and measure it on the tested people."""
    split = runs / f"{work.name}.json"
    split.parent.mkdir(parents=True, exist_ok=True)
    split.write_text(json.dumps({"1": tested, "2": sorted(trained)}))
    options = train_options(
        "compact",
        ablation=option.ablation,
        init=None if starts is None else str(starts / f"pretraining-{seed}"),
        split=str(split),
        seed=seed,
        **{**COMMON, **option.changes},
    )
    run = runs / f"{work.name}-{option.name.replace(' ', '-').replace(',', '')}-{seed}"
    train(work, run, options, fold="1", device="cpu")
    results = evaluate(run).results
    return {
        "f1": results["f1"]["mean"],
        "auc": results["auc"]["mean"],
        "mcc": results["mcc"]["mean"],
    }


def effects(rows: dict[str, list[dict[str, Any]]], options: tuple[Option, ...]) -> dict[str, Any]:
    """Each option less what it is compared with, seed by seed: F1 and AUC."""
    found = {}
    for option in options:
        if option.against:
            gaps = {}
            for key in ("f1", "auc"):
                pairs = zip(rows[option.name], rows[option.against], strict=True)
                each = np.array([one[key] - other[key] for one, other in pairs])
                gaps[key] = {
                    "mean": float(each.mean()),
                    "lowest": float(each.min()),
                    "highest": float(each.max()),
                }
            found[option.name] = {"against": option.against, **gaps}
    return found


def plot(content: dict[str, Any], path: Path) -> None:
    """Effects on F1 with many and with few people, one dot a mean, a line from worst to best."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    looks = {"many": ("#0072b2", "o", -0.13), "few": ("#d55e00", "D", 0.13)}
    names = list(content["effects"]["many"])
    for kind, (colour, mark, shift) in looks.items():
        for place, name in enumerate(names):
            gap = content["effects"][kind][name]["f1"]
            ends = [100 * gap["lowest"], 100 * gap["highest"]]
            axes.plot(ends, [place + shift] * 2, color=colour, linewidth=1.5)
            axes.plot(
                [100 * gap["mean"]],
                [place + shift],
                mark,
                color=colour,
                label=f"{content['people'][kind]} people" if not place else None,
            )
    labels = [f"{n}\n(less: {content['effects']['many'][n]['against']})" for n in names]
    axes.set_yticks(range(len(names)), labels, size=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.axvline(0, color="#000000", linewidth=0.8)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.set_xlabel("change of mean F1 on unseen SYNTHETIC people, points")
    axes.legend(frameon=False, title="trained on")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def main() -> None:
    """Everything, written to --json and --plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--starts", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--folder", type=Path, help="Runs; kept. [default: a new one]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--adversary-seeds", type=int, default=1, help="It needs images: slow.")
    parser.add_argument("--quick", action="store_true", help="Without the adversary; one seed.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="beyond-"))
    tested, others = people_of(given.work, given.seed)
    groups = {"many": others, "few": others[: min(FEW, len(others) // 2)]}
    seeds, slow = (1, 0) if given.quick else (given.seeds, given.adversary_seeds)
    options = OPTIONS + (ADVERSARY if slow else ())
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for kind, trained in groups.items():
        work = part_of(given.work, tested + trained, folder / kind)
        rows[kind] = {option.name: [] for option in options}
        for option in options:
            count = slow if option in ADVERSARY else seeds
            for seed in range(given.seed, given.seed + count):
                start = given.starts if option in ADVERSARY else None
                one = measure(work, tested, trained, option, folder / "runs", seed, start)
                rows[kind][option.name].append(one)
                score = f"F1 {100 * one['f1']:.1f}"
                print(f"{kind:5s} seed {seed}  {option.name:28s} {score}", flush=True)
    content = {
        "synthetic": True,
        "quick": given.quick,
        "people": {kind: len(trained) for kind, trained in groups.items()},
        "tested": len(tested),
        "seeds": seeds,
        "adversary_seeds": slow,
        "pre_trained": given.starts is not None,
        "rows": rows,
        "effects": {kind: effects(part, options) for kind, part in rows.items()},
    }
    if given.plot:
        plot(content, given.plot)
    write_results(given.json, content, [])


if __name__ == "__main__":
    main()
