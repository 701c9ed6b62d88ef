"""Writes the tables of docs/action-units.md from the results of the benchmarks named here.

python benchmarks/au_estimates.py --json benchmarks/results/au_estimates.json
python benchmarks/au_ceilings.py --json benchmarks/results/au_ceilings.json
python benchmarks/write_au_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from write_docs import table

from glee.pipeline.action_units.readings import blendshapes_read
from glee.pipeline.datasets.action_units import NAMES

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "action-units.md"
BEGIN, END = "<!-- au estimates -->", "<!-- end of au estimates -->"
HEADS = "<!-- au heads -->", "<!-- end of au heads -->"
CEILINGS = "<!-- au ceilings -->", "<!-- end of au ceilings -->"
KINDS = {
    "ict_apart": "other model, sides apart",
    "ict_alike": "other model, sides alike",
    "own_single": "glee's model",
}
CONFUSED = 0.1  # a call of an AU that is not there, of the frames that show another, is named


def by_au(content: dict[str, Any]) -> list[str]:
    """Area and r of each AU, by kind of people, and the areas on real clips."""
    kinds, real = content["kinds"], content["real"]["glee"]
    rows = []
    for au in NAMES:
        cells = [f"{au} {NAMES[au]}", ", ".join(sorted({_stem(n) for n in blendshapes_read(au)}))]
        for kind in KINDS:
            area, r = kinds[kind]["glee"]["auc"].get(str(au)), kinds[kind]["glee"]["r"].get(str(au))
            cells.append("-" if area is None else f"{area:.2f}, {r:.2f}")
        coded = str(43 if au == 45 else au)
        there = real["frames"].get(coded)
        found = real["auc"].get(coded)
        cells.append("-" if there is None else f"{found:.2f} ({there[0]} + {there[1]})")
        rows.append(cells)
    head = ["AU", "blendshapes", *KINDS.values(), "real clips (with + without)"]
    return table(head, rows)


def _stem(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def confusions(content: dict[str, Any]) -> list[str]:
    """What is called present where another AU is plainly shown, on the other model's people."""
    kinds = [content["kinds"][kind]["confusion"] for kind in ("ict_apart", "ict_alike")]
    rows = []
    for au in NAMES:
        shown = [kind[str(au)] for kind in kinds if str(au) in kind]
        if not shown:
            continue
        mean = {
            other: sum(one.get(other, 0.0) for one in shown) / len(shown)
            for other in {key for one in shown for key in one}
        }
        itself = mean.pop("itself")
        wrong = sorted(
            ((share, int(other)) for other, share in mean.items() if share >= CONFUSED),
            reverse=True,
        )
        named = ", ".join(f"{other} ({100 * share:.0f} %)" for share, other in wrong)
        rows.append([f"{au} {NAMES[au]}", f"{100 * itself:.0f} %", named or "-"])
    return table(["shown, at least 2.5", "called present", "called, but not there"], rows)


def heads(content: dict[str, Any]) -> list[str]:
    """What heads that learn make of the same readings."""
    rows = [
        [
            way,
            *(f"{row[kind]['auc']:.3f}, {row[kind]['r']:.2f}" for kind in KINDS),
            f"{row['real']['mean']:.3f}",
        ]
        for way, row in content["rows"].items()
    ]
    return table(["estimate, and whose people it learnt from", *KINDS.values(), "real clips"], rows)


def ceilings(content: dict[str, Any]) -> list[str]:
    """What steps of the estimate bring, and what the true landmarks would."""
    rows = [
        [
            way,
            *(f"{row[kind]['auc']:.3f}, {row[kind]['r']:.2f}" for kind in KINDS),
            f"{row['real']:.3f}" if "real" in row else "-",
        ]
        for way, row in content["rows"].items()
    ]
    return table(["estimate", *KINDS.values(), "real clips"], rows)


def summary(content: dict[str, Any]) -> list[str]:
    """Means, MediaPipe beside them."""
    rows = []
    for kind, where in KINDS.items():
        one = content["kinds"][kind]
        cells = [where]
        for who in ("glee", "mediapipe"):
            cells.append(
                f"{one[who]['auc_mean']:.3f}, {one[who]['r_mean']:.2f}" if who in one else "-"
            )
        rows.append(
            [*cells, f"{100 * one['coverage']:.1f} %", f"{100 * one['coverage_there']:.0f} %"]
        )
    real = content["real"]
    rows.append(
        [
            "real clips",
            *(f"{real[who]['mean']:.3f}" if who in real else "-" for who in ("glee", "mediapipe")),
            "-",
            "-",
        ]
    )
    head = [
        "people",
        "glee: area, r",
        "MediaPipe: area, r",
        "within 90 %",
        "of these, where it is there",
    ]
    return table(head, rows)


def main() -> None:
    """Put the tables between the page's marks."""
    content = json.loads((HERE / "results" / "au_estimates.json").read_text())
    rest = content["real"]["at_rest"]
    lines = [
        *summary(content),
        "",
        f"Two real faces at rest, {rest['frames']} frames: {100 * rest['share']:.1f} % of the AUs "
        "are called present.",
        "",
        *by_au(content),
        "",
        "What is called where an AU is plainly shown (the other model's people):",
        "",
        *confusions(content),
    ]
    put((BEGIN, END), lines)
    put(CEILINGS, ceilings(json.loads((HERE / "results" / "au_ceilings.json").read_text())))
    put(HEADS, heads(json.loads((HERE / "results" / "au_heads.json").read_text())))


def put(marks: tuple[str, str], lines: list[str]) -> None:
    """Replace what stands between two marks of the page."""
    begin, end = marks
    before, _, remainder = PAGE.read_text().partition(begin)
    after = remainder.partition(end)[2]
    PAGE.write_text("\n".join([before + begin, "", *lines, "", end + after]))


if __name__ == "__main__":
    main()
