"""Writes docs/benchmarks.md from the JSON files in benchmarks/results.

python benchmarks/fit.py --json benchmarks/results/fit.json
python benchmarks/recovery.py --json benchmarks/results/recovery.json
python benchmarks/write_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TITLES = {"fit": "Speed of the fit", "recovery": "Accuracy of the fit"}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def targets(content: dict[str, Any]) -> list[str]:
    """What was aimed at and what came out."""
    rows = []
    for target in content["targets"]:
        value = "not measured" if target["value"] is None else f"{target['value']:.4g}"
        sign = ">=" if target["better"] == "higher" else "<="
        met = {True: "yes", False: "**no**", None: ""}[target["met"]]
        rows.append([f"`{target['name']}`", value, f"{sign} {target['target']:g}", met])
    return table(["figure", "measured", "aimed at", "met"], rows)


def fit(content: dict[str, Any]) -> list[str]:
    """Our rates and the peers' times."""
    ours = [
        [name, f"{r['cold_per_s']:.0f}", f"{r['warm_per_s']:.0f}", f"{r['iterations']:.2f}"]
        for name, r in content["ours"].items()
    ]
    peers = [
        [
            name,
            f"{r['ms']:.2f}",
            f"{r['ours_ms']:.3f}",
            f"{r['ms'] / r['ours_ms']:.0f}",
            f"{r['energy_over_scipy']:.4f}" if "energy_over_scipy" in r else "",
        ]
        for name, r in content["peers"].items()
    ]
    joint = content["joint"]
    return [
        *table(["distance", "cold fits/s", "warm fits/s", "steps a fit"], ours),
        "",
        *table(["peer", "ms a fit", "ours, ms", "ratio", "our energy / its"], peers),
        "",
        f"One identity for {joint['frames']:.0f} frames: {joint['joint_s']:.2f} s; each frame with "
        f"its own: {joint['alone_s']:.2f} s; peak memory of the process {joint['peak_mb']:.0f} MB. "
        f"A new process that fits one frame takes {content['start_s']:.2f} s from start to end.",
        "",
        "Times are processor time of one thread. scipy gets our residuals, our analytic Jacobian "
        "and our relative tolerance (1e-4); `lm` has no bounds, and neither has our fit beside it. "
        "eos is given our model, since its own is not in its wheel, and fits with the contour as "
        "its own demo does. The BLAS bound is one syrk and one posv of the smaller system a step; "
        "more than half of our steps use the factorisation of the step before again.",
    ]


def recovery(content: dict[str, Any]) -> list[str]:
    """Noise, other models, the detector."""
    lines: list[str] = []
    for part, title in (("noise", "noise"), ("across_models", "across models")):
        rows = [
            [
                name,
                f"{r['r_median']:.3f}",
                f"{r['r_worst']:.2f}",
                f"{r['pose_deg']:.2f}",
                f"{r['rmse_percent']:.2f}",
            ]
            for name, r in content[part].items()
        ]
        head = [title, "median r of f_exp", "worst r", "pose, degrees", "rmse, % of eye distance"]
        lines += [*table(head, rows), ""]
    if "detector" in content:
        lines += detector(content["detector"])
    return lines


def detector(content: dict[str, Any]) -> list[str]:
    """Through dlib: by variant, by AU, by blendshape."""
    errors = ", ".join(f"{name} {100 * value:.1f}" for name, value in content["nme"].items())
    fits = content["fits"]
    aus = list(next(iter(fits.values()))["r_by_au"])
    rows = [
        [name, f"{r['r_median']:.3f}", *(f"{r['r_by_au'][au]:.2f}" for au in aus)]
        for name, r in fits.items()
    ]
    exact, best = fits["true landmarks, points"], fits["whitened, prior"]
    shapes = [
        [name, f"{std:.2f}", f"{exact['r'][name]:.2f}", f"{best['r'][name]:.2f}"]
        for name, std in sorted(exact["std"].items(), key=lambda item: -item[1])
    ]
    return [
        f"Through dlib on synthetic videos (landmark error in % of the eye distance: {errors}); "
        "by AU the best correlation of its intensity with a blendshape that it moves:",
        "",
        *table(["fit", "median r", *aus], rows),
        "",
        "What 68 points cannot see: the standard deviation that the Hessian predicts from true "
        "landmarks, and the correlations that come out:",
        "",
        *table(["blendshape", "predicted std", "r, true landmarks", "r, dlib"], shapes),
    ]


def main() -> None:
    """Write the page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `benchmarks/write_docs.py`; every figure comes from a script in `benchmarks/` "
        "that runs the peer beside us in the same run. Missed targets are shown as missed.",
        "",
    ]
    for path in sorted((HERE / "results").glob("*.json")):
        content = json.loads(path.read_text())
        where = content["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items() if v)
        lines += [f"## {TITLES.get(path.stem, path.stem)}", "", *targets(content), ""]
        if path.stem in TITLES:
            lines += [*{"fit": fit, "recovery": recovery}[path.stem](content), ""]
        lines += [
            f"`benchmarks/{path.stem}.py --seed {content['seed']}` on {where['processor']}, "
            f"{where['cores']} cores, Python {where['python']}, {versions}.",
            "",
        ]
    (HERE.parent / "docs" / "benchmarks.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
