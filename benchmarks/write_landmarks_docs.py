"""Writes the tables of docs/landmarks.md from a result of benchmarks/landmarks.py.

python benchmarks/landmarks.py --json benchmarks/results/landmarks.json
python benchmarks/write_landmarks_docs.py benchmarks/results/landmarks.json

The text around the tables is written by hand and stays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from write_docs import table, targets

PAGE = Path(__file__).resolve().parents[1] / "docs" / "landmarks.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


def errors(content: dict[str, Any]) -> list[str]:
    """NME and its parts by region, in % of the inter-ocular distance."""
    backends = content["backends"]
    head = ["backend", "region", "NME", "NME to anatomical points", "less calibrated bias"]
    head += ["bias", "person", "spread", "jitter"]
    rows = []
    for name, row in backends.items():
        for region, part in row["regions"].items():
            values = [
                part["nme"],
                row["regions_anatomical"][region]["nme"],
                row["nme_less_bias"].get(region, float("nan")),
                *(part[key] for key in ("bias", "person", "spread", "jitter")),
            ]
            rows.append([name, region, *(f"{100 * value:.2f}" for value in values)])
    return table(head, rows)


def sensitivities(content: dict[str, Any]) -> list[str]:
    """Slope and r of each gap, and CPU time."""
    head = ["backend", "gap", "slope", "r"]
    rows = [
        [name, gap.replace("_", " "), f"{part['slope']:.2f}", f"{part['r']:.3f}"]
        for name, row in content["backends"].items()
        for gap, part in row["sensitivity"].items()
    ]
    return table(head, rows)


def fits(content: dict[str, Any], part: str) -> list[str]:
    """Every backend by every lever."""
    aus: list[str] = []
    rows = []
    for name, row in content["backends"].items():
        for lever, fit in row.get(part, {}).items():
            aus = list(fit["r_by_au"])
            figures = [fit["r_median"], fit["r_au_min"], *fit["r_by_au"].values()]
            shown = [
                f"{value:.3f}" if i == 0 else f"{value:.2f}" for i, value in enumerate(figures)
            ]
            rows.append([name, lever, *shown, f"{fit['onset_slope']:.2f}", f"{fit['ms']:.1f}"])
    head = ["backend", "lever", "median r", "worst of 8", *aus, "onsets", "ms"]
    return table(head, rows)


def coefficients(content: dict[str, Any]) -> list[str]:
    """r of every coefficient that the AUs move: plain and as by default."""
    lever = content["default"]["lever"]
    columns = [
        (f"{name}, {which}", row["fits"][which]["r"])
        for name, row in content["backends"].items()
        for which in ("plain", lever)
    ]
    rows = [[shape, *(f"{r[shape]:.2f}" for _, r in columns)] for shape in columns[0][1]]
    return table(["blendshape", *(name for name, _ in columns)], rows)


def real(content: dict[str, Any]) -> list[str]:
    """Steadiness and blinks on real videos; what the backends disagree about."""
    if content["real"] is None:
        return ["Not measured: the real videos were not there."]
    rows = []
    for name, row in content["real"]["backends"].items():
        blinks = row["blinks"]
        valid = ", ".join(f"{100 * value:.0f}" for value in row["valid"].values())
        found = f"{blinks['found']} of {blinks['counted']}, {blinks['false']} false"
        synthetic = content["backends"][name]["ms"]
        jitter = f"{100 * row['jitter']:.2f}, {100 * row['jitter_smoothed']:.2f}"
        ms = f"{row['ms']:.1f}"
        rows.append([name, valid, jitter, found, ms, f"{synthetic:.1f}"])
    videos = list(next(iter(content["real"]["backends"].values()))["valid"])
    head = ["backend", f"valid, % of {', '.join(videos)}", "jitter, smoothed, %", "blinks found"]
    lines = table([*head, "CPU ms a frame, real", "synthetic"], rows)
    for pair, of in content["real"]["disagreement"].items():
        text = ", ".join(f"{region} {100 * value:.1f}" for region, value in of.items())
        lines += ["", f"Disagreement of {pair}, % of the inter-ocular distance: {text}."]
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("json", type=Path)
    content = json.loads(parser.parse_args().json.read_text())
    where = content["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items() if v)
    parts = {
        "Aimed at": targets(content),
        "Errors by region": errors(content),
        "Sensitivity": sensitivities(content),
        "f_exp, every backend by every lever": fits(content, "fits"),
        "Expressions that the prior does not know": fits(content, "other_expressions"),
        "By coefficient": coefficients(content),
        "Real videos": real(content),
    }
    lines = [
        f"`benchmarks/landmarks.py --seed {content['seed']}`: {content['people']} people x "
        f"{content['frames']} frames, on {where['processor']}, Python {where['python']}, "
        f"{versions}. Best: {content['best']['backend']}, {content['best']['lever']}; default: "
        f"{content['default']['backend']}, {content['default']['lever']}.",
    ]
    for title, part in parts.items():
        lines += ["", f"### {title}", "", *part]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]))


if __name__ == "__main__":
    main()
