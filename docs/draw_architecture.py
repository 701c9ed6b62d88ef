"""Draws the two pictures of docs/architecture.md: docs/floors.svg and docs/frame.svg.

python docs/draw_architecture.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
INK, FAINT, LINE = "#1f2933", "#52606d", "#9aa5b1"
BLUE, GREEN, ORANGE, VIOLET, GREY = "#dcebfa", "#def3e4", "#fdeccf", "#ece4f9", "#eef1f4"

# From the top down: folder, what it is, its rooms, its colour.
FLOORS = (
    ("cli.py, commands/", "parse, then call one function below", (), GREY),
    ("reports/", "what a run was worth", ("demo", "notebook", "experiments"), ORANGE),
    ("model/", "GLEE-Net, in torch", ("network", "data", "training", "prediction"), VIOLET),
    (
        "pipeline/",
        "the two stages, and the rooms that they use",
        (
            "datasets",
            "images",
            "landmarks",
            "shards",
            "cluster",
            "analysis",
            "synthesis",
            "verification",
        ),
        BLUE,
    ),
    (
        "fitting/",
        "from landmarks to coefficients, numerics only",
        ("solver", "morphable_model", "render", "calibration", "importers", "exporters"),
        GREEN,
    ),
    ("errors.py, whole_files.py", "what all floors stand on", (), GREY),
)
BESIDE = (
    ("tests/", "the same tree again"),
    ("benchmarks/", "beside the peers"),
    ("docs/", "these pages"),
    ("tools/", "build the data files"),
)

# Lane: command, its steps from left to right (what, where, what comes out), its colour.
LANES = (
    (
        "glee preprocess",
        (
            ("find clips and labels", "pipeline/datasets", "Clip"),
            ("read the frame", "pipeline/images/frames.py", "(h, w, 3) RGB"),
            ("find and follow the face", "pipeline/landmarks", "68 x 2 landmarks"),
            ("turn, cut and scale it", "pipeline/images/crops.py", "200 x 200 crop"),
        ),
        BLUE,
    ),
    (
        "glee fit3d",
        (
            ("smooth the clip's track", "pipeline/clip_smoothing.py", "68 x 2 landmarks"),
            ("one face shape a subject", "pipeline/subject_fit.py", "f_shape (60)"),
            ("fit the frame, Eq. 3", "fitting/fit.py", "Fit"),
            ("Levenberg-Marquardt", "fitting/solver", "f_exp (51), pose (6)"),
        ),
        GREEN,
    ),
    (
        "glee train, predict",
        (
            ("crops, f_exp, labels", "model/data", "Batch"),
            ("global and local branch", "model/network", "E_exp (16)"),
            ("joined with f_exp", "model/network", "F_exp (67)"),
            ("AU tokens, Transformer", "model/network", "probability of each AU"),
        ),
        VIOLET,
    ),
)


def text(x: float, y: float, words: str, *, size: int = 14, colour: str = INK, **more: str) -> str:
    """A line of text; more: attributes such as anchor and weight."""
    anchor, weight = more.get("anchor", "start"), more.get("weight", "400")
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
        f'fill="{fill}" stroke="{LINE}"/>'
    )


def arrow(*points: tuple[float, float]) -> str:
    """A line through points with a head at its end."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{FAINT}" marker-end="url(#head)"/>'


def drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """A whole SVG file, on white, so that it can be read on dark pages too."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            'font-family="system-ui, Helvetica, Arial, sans-serif">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            f'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{FAINT}"/>'
            "</marker></defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def floors() -> str:
    """The floors of the package, the highest first, and what stands beside it."""
    left, wide, y = 60, 620, 16
    parts = [text(8, 30, "imports", size=12, colour=FAINT), arrow((30, 40), (30, 530))]
    for folder, says, rooms, colour in FLOORS:
        rows = [rooms[i : i + 4] for i in range(0, len(rooms), 4)]
        height = 44 + 34 * len(rows)
        parts += [
            box(left, y, wide, height, colour),
            text(left + 14, y + 27, folder, size=16, weight="600"),
            text(left + wide - 14, y + 27, says, size=13, colour=FAINT, anchor="end"),
        ]
        for j, row in enumerate(rows):
            for i, room in enumerate(row):
                x = left + 14 + 149 * i
                parts += [
                    box(x, y + 40 + 34 * j, 143, 28, "#ffffff"),
                    text(x + 71, y + 59 + 34 * j, room, size=13, anchor="middle"),
                ]
        y += height + 12
    for i, (folder, says) in enumerate(BESIDE):
        x, top = left + wide + 30, 16 + 68 * i
        parts += [
            box(x, top, 170, 56, "#ffffff"),
            text(x + 12, top + 24, folder, weight="600"),
            text(x + 12, top + 43, says, size=12, colour=FAINT),
        ]
    return drawing(900, y + 4, "The floors of glee: imports go down only", parts)


def frame() -> str:
    """A frame's way from a video to Action Units, a lane a command, shards between them."""
    step, wide, top, lane = 220, 200, 60, 190
    parts = [text(20, 30, "video, or a dataset's folder", size=13, colour=FAINT)]
    parts.append(arrow((40, 38), (40, top + 22)))
    for j, (command, steps, colour) in enumerate(LANES):
        y = top + lane * j
        for i, (what, where, out) in enumerate(steps):
            x = 20 + step * i
            parts += [
                box(x, y + 26, wide, 64, colour),
                text(x + wide / 2, y + 52, what, size=13, anchor="middle", weight="600"),
                text(x + wide / 2, y + 74, where, size=12, colour=FAINT, anchor="middle"),
                text(x + wide / 2, y + 110, out, size=12, anchor="middle"),
            ]
            if i:
                parts.append(arrow((x - step + wide + 2, y + 58), (x - 3, y + 58)))
        parts.append(text(880, y + 16, command, size=15, weight="600", anchor="end"))
        if j + 1 < len(LANES):
            shelf = y + 124
            written = "frames, landmarks, crops, labels" if j == 0 else "fit added"
            parts += [
                box(20, shelf, 860, 34, GREY),
                text(450, shelf + 22, f"shards, pipeline/shards: {written}", anchor="middle"),
                arrow((868, y + 92), (868, shelf - 3)),
                arrow((40, shelf + 36), (40, y + lane + 22)),
            ]
    y = top + lane * (len(LANES) - 1)
    parts.append(text(20, y + 140, LOOSE, size=13, colour=FAINT))
    return drawing(900, y + 156, "A frame's way from video to Action Units", parts)


LOOSE = (
    "glee analyze goes the same way without shards, in pipeline/analysis: read, track, fit, "
    "write a row of the table."
)


def main() -> None:
    """Write both pictures."""
    (HERE / "floors.svg").write_text(floors())
    (HERE / "frame.svg").write_text(frame())


if __name__ == "__main__":
    main()
