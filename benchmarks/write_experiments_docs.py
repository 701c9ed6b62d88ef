"""The tables of docs/experiments.md on self-attention and on the rows of Table 5."""

from __future__ import annotations

from typing import Any

import numpy as np

from glee.reports.experiments.comparison import published_table


def self_attention(content: dict[str, Any], table: Any) -> list[str]:
    """By start: gains after training, weights of positions, decisions that depend on them."""
    rows = []
    for start, runs in content["rows"].items():
        gains = [abs(run["gain"][end]) for run in runs for end in ("lowest", "highest")]
        rows.append(
            [
                start,
                f"{min(gains):.3f} to {max(gains):.3f}",
                f"{100 * _mean(runs, 'positions', 'mean'):.0f}",
                f"{100 * _mean(runs, 'changed_off'):.2f}",
                f"{100 * _mean(runs, 'changed_even'):.2f}",
                f"{100 * _mean(runs, 'f1'):.1f}",
            ]
        )
    head = [
        *("start", "size of the gain after training", "positions in use, %"),
        *("decisions changed without it, %", "with even weights, %", "mean F1, %"),
    ]
    return table(head, rows)


def _mean(runs: list[dict[str, Any]], *keys: str) -> float:
    values = []
    for run in runs:
        value: Any = run
        for key in keys:
            value = value[key]
        values.append(value)
    return float(np.mean(values))


def table5_rows(content: dict[str, Any], table: Any) -> list[str]:
    """Full less each row: mean over seeds, lowest and highest, intervals over people."""
    full = next(iter(content["rows"]))
    paper = {method.name: method.mean for method in published_table(5).methods}
    rows = []
    for name, gap in content["full_less"].items():
        seeds = gap["seeds"]
        ends = [f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in gap["intervals"]]
        theirs = "none" if name not in paper else f"{paper[full] - paper[name]:+.1f}"
        f1 = 100 * _mean(content["rows"][name][:seeds], "f1")
        gaps = f"{100 * gap['mean']:+.1f}"
        if seeds > 1:
            gaps += f" ({100 * gap['lowest']:+.1f}, {100 * gap['highest']:+.1f})"
        rows.append([name, str(seeds), f"{f1:.1f}", gaps, "; ".join(ends), theirs])
    f1 = 100 * _mean(content["rows"][full], "f1")
    head = [
        *("row", "seeds", "mean F1, %", f"{full} ({f1:.1f}) less it, points"),
        *("95 % interval over people, each seed", "in the paper"),
    ]
    return table(head, rows)
