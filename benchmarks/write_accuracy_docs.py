"""Writes the table of accuracy in README.md and docs/landmarks.md, photographs first.

python benchmarks/real_faces.py --json benchmarks/results/real_faces.json
python benchmarks/photograph_training.py --json benchmarks/results/real_faces.json
python benchmarks/real_clips.py --json benchmarks/results/real_clips.json
python benchmarks/foreign_faces.py --json benchmarks/results/foreign_faces.json
python benchmarks/write_accuracy_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from write_docs import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "landmarks.md")
WHO = {"glee": "default", "mediapipe": "MediaPipe"}
BEGIN, END = "<!-- accuracy -->", "<!-- end of accuracy -->"


def result(name: str) -> dict[str, Any]:
    """What a benchmark wrote."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def on_photographs() -> list[list[str]]:
    """Landmarks, and f_exp fitted to them, against the landmarks that people set."""
    content = result("real_faces")
    where = f"{content['photographs']} photographs with landmarks set by people"
    names = {
        name: f"default (`{name}`)" if name == content["default"] else f"`{name}`"
        for name in content["backends"]
    }
    inner = {name: row["nme"]["inner"] for name, row in content["backends"].items()}
    error = ", ".join(
        f"{names[name]} {row['raw']:.1f} ({row['less_bias']:.1f})" for name, row in inner.items()
    )
    r = ", ".join(
        f"{names[name]} {row['f_exp_r_to_human']:.2f}" for name, row in content["backends"].items()
    )
    return [
        [
            where,
            "error of the inner 51 points, % of the distance of the outer eye corners "
            "(without each point's mean error)",
            error,
        ],
        ["the same", "blendshapes: r with those of the fit to the human landmarks", r],
        *trained_on_photographs(content.get("fine_tuned")),
    ]


def trained_on_photographs(row: dict[str, Any] | None) -> list[list[str]]:
    """What `glee train-landmarks --photos` gains, where photograph_training.py has measured it."""
    if row is None:
        return []
    after, before = (one["nme"]["inner"]["raw"] for one in (row, row["mesh"]))
    return [
        [
            "each half of them, `glee train-landmarks --photos` on the other",
            "error of the inner 51 points, as above",
            f"`mesh+refiner:FILE` {after:.2f}, `mesh` {before:.2f}",
        ]
    ]


def on_clips() -> list[list[str]]:
    """Action Units that were seen by eye."""
    rows = result("real_clips")["rows"]
    seen = {
        name: {"glee": "default", "mediapipe": "MediaPipe"}[name]
        + f" {row['seen']['by_baseline']['20th percentile']['mean']:.2f}"
        + f" ({row['seen']['by_baseline']['none']['mean']:.2f})"
        for name, row in rows.items()
    }
    blinks = rows["glee"]["blinks"]["f_exp"]
    return [
        [
            "short real clips, coded by eye",
            "ten Action Units there or not: mean area under the curve over the clip's 20th "
            "percentile (without a baseline)",
            ", ".join(seen.values()),
        ],
        [
            "the same",
            "blinks",
            f"{blinks['found']} of {blinks['counted']} found, {blinks['false']} false",
        ],
    ]


def on_action_units() -> list[list[str]]:
    """The estimates of Action Units, without training."""
    content = result("au_estimates")
    kinds, real = content["kinds"], content["real"]

    def both(rows: list[dict[str, Any]], key: str) -> str:
        means = {
            who: sum(row[who][key] for row in rows) / len(rows) for who in WHO if who in rows[0]
        }
        return ", ".join(f"{WHO[who]} {mean:.2f}" for who, mean in means.items())

    other = [kinds[kind] for kind in ("ict_alike", "ict_apart")]
    rest = real["at_rest"]
    return [
        [
            "renders of another model (ICT-FaceKit)",
            "estimated Action Units: mean area under the curve",
            both(other, "auc_mean"),
        ],
        ["the same", "their intensity: mean r with the truth", both(other, "r_mean")],
        [
            "short real clips, coded by eye",
            "estimated Action Units, as the table has them: mean area under the curve",
            both([real], "mean"),
        ],
        [
            f"{rest['frames']} frames of two real faces at rest",
            "Action Units called present",
            f"{100 * rest['share']:.1f} %",
        ],
    ]


def on_renders() -> list[list[str]]:
    """f_exp where its truth is known, of a foreign model and of our own."""
    kinds = result("foreign_faces")["kinds"]
    texts = {
        "ict_apart": "renders of another model (ICT-FaceKit), the sides moving apart",
        "ict_alike": "the same, the sides moving alike",
        "own_single": "renders of glee's own model, single blendshapes",
        "own_rules": "renders of glee's own model, moving as its prior expects",
    }
    return [
        [
            where,
            "blendshapes: r with the truth",
            f"default {kinds[kind]['r']['default']:.2f}, "
            f"MediaPipe {kinds[kind]['r']['mediapipe']:.2f}",
        ]
        for kind, where in texts.items()
    ]


def main() -> None:
    """Put the table between the pages' marks."""
    rows = [*on_photographs(), *on_clips(), *on_action_units(), *on_renders()]
    lines = table(["measured on", "what", "figure"], rows)
    for page in PAGES:
        before, _, rest = page.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]))


if __name__ == "__main__":
    main()
