"""Writes docs/benchmarks-landmarks.md from the results on landmarks.

python benchmarks/landmarks.py --json benchmarks/results/landmarks.json
python benchmarks/hidden_regions.py --json benchmarks/results/hidden_regions.json
python benchmarks/landmark_yaw.py --json benchmarks/results/landmark_yaw.json
python benchmarks/render_levers.py --json benchmarks/results/render_levers.json
python benchmarks/turned_faces.py --json benchmarks/results/turned_faces.json
python benchmarks/write_landmarks_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from write_docs import table, targets

RESULTS = Path(__file__).resolve().parent / "results"
PAGE = RESULTS.parents[1] / "docs" / "benchmarks-landmarks.md"

INTRODUCTION = """# Benchmarks of landmarks

Written by `benchmarks/write_landmarks_docs.py`. [Landmarks](landmarks.md) says what follows from
these tables.

The photographs come first, because they decide; all other tables are of rendered videos, of seeds
that neither the calibration nor the prior has seen. They go through detection and tracking as
`glee preprocess` runs them. Errors are in percent of the distance of the outer eye corners, unless
a table says otherwise.

- **NME** is the mean error of a landmark against the point of the model to which the backend is
  calibrated. **Bias** is the mean error vector over all people, **person** each person's own mean
  beside it, **spread** what is left over time, and **jitter** its second difference, given as the
  deviation of white noise.
- **Sensitivity** compares the measured lid gap, lip gap and brow height, less the person's mean,
  with those of the model.
- **r** is the correlation of f_exp with the truth over all frames: the median over the
  coefficients that DISFA's twelve AUs move. For an AU it is that of its intensity with its best
  coefficient. **Onsets** is the slope of fitted against true change from frame to frame, where the
  truth changes by more than 0.05. **ms** is the fit's processor time a frame.
- The **levers** of a row are explained in [landmarks](landmarks.md#what-can-be-done-about-it).

What flatters these figures: the rendered people move by the rules from which the prior was
estimated, and the refiner was trained on faces of the same model. The table "Expressions that the
prior does not know" draws blendshapes one by one, and errors from the calibrated noise, which
flatters whitening instead. Real videos have no truth: their jitter contains the face's own motion,
and blinks were counted by eye, frame by frame."""


def photographs(content: dict[str, Any]) -> list[str]:
    """Errors by region against landmarks that people set, and what is read from openings."""
    backends = content["backends"]
    regions = list(next(iter(backends.values()))["nme"])
    errors_of = [
        [
            name,
            f"{100 * row['found']:.0f}",
            *(f"{row['nme'][r]['raw']:.2f} ({row['nme'][r]['less_bias']:.2f})" for r in regions),
        ]
        for name, row in backends.items()
    ]
    shown = list(next(iter(backends.values()))["openings"])
    correlations = [
        [
            name,
            *(f"{row['openings'][opening]['r']:.3f}" for opening in shown),
            f"{row['closed_eye_auc']:.3f}",
            f"{row['f_exp_r_to_human']:.2f}",
        ]
        for name, row in backends.items()
    ]
    head = [*(opening.replace("_", " ") for opening in shown), "closed eyes, AUC"]
    return [
        f"{content['photographs']} photographs with landmarks that people set. Errors in brackets "
        "are without the mean error vector of each point, learnt on the other half of the faces.",
        "",
        *table(["backend", "found, %", *(r.replace("_", " ") for r in regions)], errors_of),
        "",
        "Correlation with what the human landmarks show, and of f_exp with the fit to them:",
        "",
        *table(["backend", *head, "f_exp"], correlations),
    ]


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


def levers(content: dict[str, Any]) -> list[str]:
    """What each part of a render does to the landmarks and to the lid gap."""
    backends = list(next(iter(content["rows"].values())))
    head = ["picture", *(f"{name}: NME, %" for name in backends)]
    head += [f"{name}: lid gap, slope (r)" for name in backends]
    rows = []
    for name, row in content["rows"].items():
        cells = [f"{100 * row[backend]['nme']:.2f}{_lost(row[backend])}" for backend in backends]
        cells += [f"{row[backend]['slope']:.2f} ({row[backend]['r']:.2f})" for backend in backends]
        rows.append([name, *cells])
    return [
        "The same people again and again, each time without one part of the picture (-) or with "
        "one addition (+), as `glee synth --without` and `--with` draw them.",
        "",
        *table(head, rows),
    ]


def _lost(figures: dict[str, float]) -> str:
    return "" if figures["valid"] > 0.995 else f" ({100 * figures['valid']:.0f} % valid)"


def by_yaw(content: dict[str, Any]) -> list[str]:
    """Whitening by one noise for all poses, and by one for each range of yaw."""
    rows = [
        [
            backend,
            lever,
            f"{fit['r_median']:.3f}",
            f"{fit['r_au_min']:.2f}",
            f"{fit['r_au_mean']:.3f}",
            f"{fit['onset_slope']:.2f}",
            f"{fit['ms']:.1f}",
        ]
        for backend, fits_of in content["backends"].items()
        for lever, fit in fits_of.items()
        if isinstance(fit, dict) and "r_median" in fit
    ]
    head = ["backend", "lever", "median r", "worst of 8", "mean of 8", "onsets", "ms"]
    return [
        f"{content['people']} people x {content['frames']} frames who turn their heads further "
        f"than in the other tables (yaw of {content['yaw_deviation']:.1f} degrees standard "
        'deviation). Rows without "by yaw" have the noise of the same renders pooled.',
        "",
        *table(head, rows),
    ]


def turned(content: dict[str, Any]) -> list[str]:
    """Valid frames of rolled faces, and how many of these are wrong."""
    backends = list(content["rolls"])
    rolls = sorted(content["rolls"][backends[0]], key=lambda roll: int(roll))
    rows = [
        [
            f"{roll}",
            *(f"{row['valid']} of {row['frames']}, {row['wrong']} wrong" for row in found),
        ]
        for roll in rolls
        for found in [[content["rolls"][backend][roll] for backend in backends]]
    ]
    return [
        "Clips of rendered people, rolled by an angle and followed from their first frame. Wrong "
        "is a valid frame with a mean error of more than 0.2 inter-ocular distances.",
        "",
        *table(["roll, degrees", *backends], rows),
    ]


def hidden(content: dict[str, Any]) -> list[str]:
    """What is said of hidden regions, on photographs and clips."""
    rows, photographs = content["rows"], content["rows"]["photographs"]
    by_part = [
        [part.replace("_", " "), *_of_part(photographs["hand"][part], photographs["thing"][part])]
        for part, row in photographs["hand"].items()
        if isinstance(row, dict)
    ]
    strange = [
        [kind, f"{100 * row['found']:.0f}", *(f"{row[region]:.2f}" for region in list(row)[1:])]
        for kind, row in photographs["strange"].items()
    ]
    regions = list(next(iter(photographs["strange"].values())))[1:]
    heeded, not_heeded = rows["hand"]["heeded"], rows["hand"]["not_heeded"]
    clips = rows["clean_clips"]
    frames = sum(clip["frames"] for clip in clips["clips"].values())
    return [
        *targets(content),
        "",
        f"{photographs['count']} photographs, with hands cut out of a clip, or boxes, ellipses and "
        "pieces of other photographs, pasted before their faces. Hidden: at least 60 % of the "
        "part's human landmarks are covered. Found: less than half is said to be seen. The area is "
        "that between hidden parts and those that nothing covers.",
        "",
        *table(
            ["part", "hidden by a hand", "found, %", "area", "by a thing", "found, %", "area"],
            by_part,
        ),
        "",
        f"Without anything pasted {100 * photographs['clean']['called_hidden']:.1f} % of the "
        f"regions are called hidden, in {frames} frames of clips "
        f"{100 * clips['called_hidden']:.1f} %.",
        "",
        "The hand before the mouth of a clip, without and with heeding what is hidden: the largest "
        f"mouthFrown {not_heeded['largest_frown']:.2f} and {heeded['largest_frown']:.2f}, "
        f"mouthDimple {not_heeded['largest_dimple']:.2f} and {heeded['largest_dimple']:.2f}; "
        f"median quality {heeded['quality_hand']:.2f}, without a hand "
        f"{heeded['quality_clean']:.2f}.",
        "",
        "Pictures that are no photographs, made of photographs: share in which the detector finds "
        "a face, and how far each region is said to be seen, on average.",
        "",
        *table(["picture", "found, %", *regions], strange),
    ]


def _of_part(*things: dict[str, Any]) -> list[str]:
    """Cells of a part: how often it is hidden, the share found and the area, for each thing."""
    return [
        cell
        for row in things
        for cell in (
            str(row["hidden"]),
            f"{100 * row['hit']:.0f}" if row["hidden"] else "",
            f"{row['area']:.3f}" if row["hidden"] else "",
        )
    ]


def result(name: str) -> dict[str, Any]:
    """What a benchmark wrote."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def main() -> None:
    """Write the page."""
    content = result("landmarks")
    where = content["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items() if v)
    parts = {
        "Photographs": photographs(result("real_faces")),
        "What is hidden": hidden(result("hidden_regions")),
        "Aimed at, on renders": targets(content),
        "Errors by region": errors(content),
        "Sensitivity": sensitivities(content),
        "f_exp, every backend by every lever": fits(content, "fits"),
        "Expressions that the prior does not know": fits(content, "other_expressions"),
        "By coefficient": coefficients(content),
        "Real videos": real(content),
        "Parts of a render": levers(result("render_levers")),
        "Whitening by yaw": by_yaw(result("landmark_yaw")),
        "Faces turned in the picture": turned(result("turned_faces")),
    }
    lines = [
        INTRODUCTION,
        "",
        f"`benchmarks/landmarks.py --seed {content['seed']}`: {content['people']} people x "
        f"{content['frames']} frames, on {where['processor']}, Python {where['python']}, "
        f"{versions}. Best: {content['best']['backend']}, {content['best']['lever']}; default: "
        f"{content['default']['backend']}, {content['default']['lever']}. The other scripts' "
        "machines and versions stand in [benchmarks](benchmarks.md).",
    ]
    for title, part in parts.items():
        lines += ["", f"## {title}", "", *part]
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
