"""Writes the tables of docs/model-card.md from benchmarks/results/bias.json.

python benchmarks/bias.py --json benchmarks/results/bias.json
python benchmarks/write_bias_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from write_docs import table

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "model-card.md"
BEGIN, END = "<!-- bias -->", "<!-- end of bias -->"


def levels(content: dict[str, Any]) -> list[str]:
    """The means of every level of every trait."""
    rows = [
        [
            trait,
            level,
            f"{100 * means['valid']:.1f}",
            f"{100 * means['nme']:.2f}",
            f"{means['r']:.2f}",
        ]
        for trait, found in content["traits"].items()
        for level, means in found["levels"].items()
    ]
    head = ["trait", "level", "valid frames, %", "landmark error, %", "r of f_exp"]
    return table(head, rows)


def gaps(content: dict[str, Any]) -> list[str]:
    """The difference between the ends of each trait, with its interval over people."""
    rows = []
    for trait, found in content["traits"].items():
        low, high = found["ends"]
        nme, r = found["gaps"]["nme"], found["gaps"]["r"]
        mean = sum(means["nme"] for means in found["levels"].values()) / len(found["levels"])
        shares = [100 * value / mean for value in (nme["mean"], *nme["interval"])]
        rows.append(
            [
                f"{trait}: {high} less {low}",
                "{:+.0f} ({:+.0f} to {:+.0f})".format(*shares),
                "{:+.3f} ({:+.3f} to {:+.3f})".format(r["mean"], *r["interval"]),
            ]
        )
    return table(["difference", "landmark error, % of its mean", "r of f_exp"], rows)


def main() -> None:
    """Put the tables between the page's marks."""
    content = json.loads((HERE / "results" / "bias.json").read_text())
    lines = [
        f"{content['people']} people, {content['frames']} frames each at every level. Landmark "
        "error: of the inner 51 points, in percent of the outer eye-corner distance. r: within a "
        "clip, median over the coefficients that move, mean over people. In brackets 95 % "
        "intervals over people.",
        "",
        *levels(content),
        "",
        *gaps(content),
    ]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]))


if __name__ == "__main__":
    main()
