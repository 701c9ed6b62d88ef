"""The demo's report, section by section, and its figures as plain data for results.json."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ... import __version__
from .. import charts
from ..charts import Series
from ..report import Chart, KeyFigure, PictureRow, Report, Section, Table
from .comparison import TrueLandmarkFit, TruthComparison, correlations, landmark_errors, moved
from .ingredients import RULES, worth_of_images
from .stage_losses import fitted_f_exp, plain

NBSP = "\u00a0"
_SIMULATED = (
    "The faces are rendered and move by glee's own rules, so the truth is known exactly; figures "
    "on photographs differ."
)

# Blendshapes whose course is drawn: brows, lids, nose, mouth corners up and down, jaw.
COURSES = (
    "browInnerUp",
    "browDownLeft",
    "eyeBlinkLeft",
    "noseSneerLeft",
    "mouthSmileLeft",
    "mouthFrownLeft",
    "mouthLowerDownLeft",
    "jawOpen",
)

_LIBRARIES = {
    "numpy": "numpy",
    "numba": "numba",
    "torch": "torch",
    "opencv": "cv2",
    "dask": "dask",
    "h5py": "h5py",
}


def demo_report(
    comparison: TruthComparison,
    exact: TrueLandmarkFit,
    evaluation: Mapping[str, Any],
    results: Mapping[str, Any],
    rows: tuple[Sequence[PictureRow], Sequence[PictureRow]],
) -> Report:
    """Lay out the report of a demo.

    Parameters
    ----------
    comparison : TruthComparison
        The demo's frames.
    exact : TrueLandmarkFit
        Fits from true landmarks.
    evaluation : mapping
        `Evaluation.results`.
    results : mapping
        Of `demo_results`.
    rows : two sequences of PictureRow
        Expressive frames, and the worst.

    Returns
    -------
    Report
        To write.
    """
    sections = [
        _faces(rows),
        _landmarks(results),
        correlation_section(comparison, exact),
        course_section(comparison, exact),
        _action_units(evaluation, results),
        _ingredients(results),
        _losses(results),
        _frames(comparison),
        _time(results),
    ]
    subjects = len(comparison.subjects)
    return Report(
        title="glee demo: from video to Action Units",
        lead=f"{len(comparison)} frames of {subjects} rendered people went through detection, "
        "alignment, 3D fitting and training, and everything was held against the truth they were "
        f"rendered from. {_SIMULATED}",
        figures=_key_figures(results, evaluation),
        sections=sections,
        foot=f"Made by glee {results['versions']['glee']} with `glee demo`; nothing in this file "
        "is loaded from elsewhere.",
    )


def _percent(value: float | None, decimals: int = 1) -> str:
    return "not defined" if value is None else f"{100 * value:.{decimals}f}{NBSP}%"


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _key_figures(results: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[KeyFigure]:
    f1, nme = results["f1"], results["landmark_nme"]
    low, high = (_number(value) for value in evaluation["f1_interval"])
    r = results["f_exp_r"]["median"]
    return [
        KeyFigure("Valid frames", _percent(results["valid_fraction"]), f"of {results['frames']}"),
        KeyFigure(
            "Landmark error",
            _percent(nme["inner51"], 2),
            f"of the inter-ocular distance, inner 51 points; {_percent(nme['all68'], 2)} on all 68",
        ),
        KeyFigure(
            "Expression recovered",
            "not defined" if r is None else f"r = {r:.2f}",
            "median over blendshapes that move",
        ),
        KeyFigure(
            "Mean F1 on unseen people",
            _percent(f1["mean"]),
            f"always positive {_percent(f1['always_positive']['mean'])}; 95 % interval "
            f"{100 * low:.0f} to {100 * high:.0f}{NBSP}%",
        ),
        KeyFigure("Time", f"{results['seconds']['total'] / 60:.1f} min", "all stages together"),
    ]


def _faces(rows: tuple[Sequence[PictureRow], Sequence[PictureRow]]) -> Section:
    expressive, worst = rows
    count = len(expressive)
    return Section(
        "faces",
        "Faces, landmarks and meshes",
        f"The first {count} rows show the frame with most Action Units of one person from each "
        f"fold; the last {len(worst)} are the frames with the largest landmark errors of all.",
        [*expressive, *worst],
    )


def _landmarks(results: Mapping[str, Any]) -> Section:
    regions = results["losses"]["landmark_nme_by_region"]
    chart = charts.bar_chart(
        [name.replace("_", " ").capitalize() for name in regions],
        [100 * _number(value) for value in regions.values()],
        title="Landmark error by region, in percent of the inter-ocular distance",
        unit=f"{NBSP}%",
        decimals=2,
    )
    return Section(
        "landmarks",
        "Landmark error by region",
        "How far detected points lie from the same points of the true mesh: the part of an error "
        "that no later stage can repair. The goal for the inner 51 points is 3 %.",
        [Chart([chart], "Mean distance over valid frames, over the outer eye-corner distance.")],
    )


def _action_units(evaluation: Mapping[str, Any], results: Mapping[str, Any]) -> Section:
    aus = list(evaluation["aus"])
    names = [*aus, "mean"]
    f1, always = evaluation["f1"], evaluation["always_positive_f1"]
    probe = results["losses"]["probe_f1"]["f_exp_of_detected_landmarks"]
    series = [
        Series("always positive", [100 * _number(always[n]) for n in names], "#555555", "ring"),
        Series("linear probe on f_exp", _hundred(probe, names), charts.ORANGE, "diamond"),
        Series("GLEE-Net", [100 * _number(f1[n]) for n in names], charts.BLUE, "disc"),
    ]
    chart = charts.dot_chart(
        names, series, title="F1 of each Action Unit", upper=100.0, unit=f"{NBSP}%"
    )
    over = evaluation["f1_mean_over_folds"]
    rows = [
        [
            name,
            _percent(f1[name]),
            _percent(over[name]),
            _percent(always[name]),
            _percent(evaluation["auc"][name]),
            _share(evaluation, name),
        ]
        for name in names
    ]
    header = ("Action Unit", "F1", "F1, mean over folds", "always positive", "AUC", "present")
    caption = "F1 on frames of people whom the network never saw, pooled over three folds."
    return Section(
        "action-units",
        "Action Units on unseen people",
        "F1 weighs misses and false alarms alike; a detector that sees every Action Unit in every "
        "frame gets the figure beside it, so only what lies above that was learned. The compact "
        "network is given each person's f_exp less its median over the person's own frames, "
        "without labels, of unseen people too.",
        [
            Chart([chart], "F1 by Action Unit.", charts.legend(series)),
            Table(caption, header, rows, numbers=range(1, 6), strong=[len(rows) - 1]),
        ],
    )


def _hundred(values: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    return [100 * _number(values[name]) for name in names]


def _share(evaluation: Mapping[str, Any], name: str) -> str:
    known = evaluation["known"].get(name)
    return _percent(evaluation["present"][name] / known) if known else ""


def _ingredients(results: Mapping[str, Any]) -> Section:
    rows = []
    for one in results["f1_of"].values():
        low, high = (_number(end) for end in one["interval"] or (None, None))
        between = f"{100 * low:.0f} to {100 * high:.0f}{NBSP}%" if low <= high else ""
        rows.append([one["given"], _percent(one["f1"]), between])
    return Section(
        "ingredients",
        "What the F1 is made of",
        f"{worth_of_images(results['images_add'])} {RULES}",
        [
            Table(
                "Mean F1 on unseen people of the same training with more or less to see. The "
                "interval is over people, not over trainings.",
                ("Given", "mean F1", "95 % interval"),
                rows,
                numbers=[1, 2],
                strong=[0],
            )
        ],
    )


def _losses(results: Mapping[str, Any]) -> Section:
    rows = []
    for row in results["losses"]["table"]:
        value = "not defined" if row["value"] is None else f"{row['value']:.2f}"
        unit = f"{NBSP}{row['unit']}" if row["unit"] != "r" else ""
        rows.append([row["stage"], row["given"], row["measure"], value + unit])
    return Section(
        "losses",
        "Where accuracy is lost",
        "Each stage was run on the truth of the one before and on what it really gets: the "
        "difference is what the earlier stage costs, the rest is its own.",
        [
            Table(
                "Every stage on true and on real input. IOD is the inter-ocular distance. The "
                "linear probe is logistic regression on f_exp alone, tested on unseen people.",
                ("Stage", "Given", "Measure", "Value"),
                rows,
                numbers=[3],
            )
        ],
    )


def _frames(comparison: TruthComparison) -> Section:
    reasons = [name for name, _ in Counter(comparison.outcome.tolist()).most_common()]
    reasons = ["ok", *(name for name in reasons if name != "ok")]
    rows = []
    for name in (*comparison.subjects, "all"):
        mine = (
            comparison.outcome if name == "all" else comparison.outcome[comparison.subject == name]
        )
        rows.append([name, str(len(mine)), *(str(int((mine == r).sum())) for r in reasons)])
    labels = ["fitted" if name == "ok" else name.replace("_", " ") for name in reasons]
    return Section(
        "frames",
        "Frames by outcome",
        "No frame is dropped: one that fails stays in its place, marked invalid, with the reason.",
        [
            Table(
                "Frames of each person by outcome.",
                ("Person", "frames", *labels),
                rows,
                numbers=range(1, 2 + len(labels)),
                strong=[len(rows) - 1],
            )
        ],
    )


def _time(results: Mapping[str, Any]) -> Section:
    seconds = {name: value for name, value in results["seconds"].items() if name != "total"}
    chart = charts.bar_chart(
        list(seconds), list(seconds.values()), title="Seconds of each stage", unit=f"{NBSP}s"
    )
    total = results["seconds"]["total"]
    return Section(
        "time",
        "Time and versions",
        f"{total:.0f} seconds in all on this machine, start of the worker processes included.",
        [
            Chart([chart], "Wall-clock seconds of each stage."),
            Table("Versions.", ("Part", "Version"), list(map(list, results["versions"].items()))),
        ],
    )


def correlation_section(comparison: TruthComparison, exact: TrueLandmarkFit) -> Section:
    """Show how each coefficient correlates with the truth.

    Parameters
    ----------
    comparison : TruthComparison
        Fits from detected landmarks.
    exact : TrueLandmarkFit
        Fits from true landmarks.

    Returns
    -------
    Section
        A chart with both.
    """
    wanted = np.flatnonzero(moved(comparison.true_f_exp))
    detected = correlations(fitted_f_exp(comparison), comparison.true_f_exp)
    best = correlations(exact.f_exp, comparison.true_f_exp)
    order = wanted[np.argsort(-np.nan_to_num(detected[wanted]), kind="stable")]
    series = [
        Series("from true landmarks", best[order].tolist(), charts.ORANGE, "diamond"),
        Series("from detected landmarks", detected[order].tolist(), charts.BLUE, "disc"),
    ]
    chart = charts.dot_chart(
        [comparison.expression_names[i] for i in order],
        series,
        title="Correlation of fitted and true coefficient for each blendshape",
    )
    return Section(
        "coefficients",
        "Expression coefficients: fitted against true",
        "1 means that a blendshape's coefficient follows the truth exactly, 0 that it tells "
        "nothing; the line between the marks is what the landmark detector costs. Gaze (eyeLook) "
        "shows in 68 landmarks only through the lids.",
        [
            Chart(
                [chart],
                f"Pearson's r over all fitted frames of the {len(order)} blendshapes that move.",
                charts.legend(series),
            )
        ],
    )


def course_section(comparison: TruthComparison, exact: TrueLandmarkFit) -> Section:
    """Draw the coefficients COURSES of the first subject over time, true and fitted.

    Parameters
    ----------
    comparison : TruthComparison
        Fits from detected landmarks.
    exact : TrueLandmarkFit
        Fits from true landmarks.

    Returns
    -------
    Section
        A chart for each.
    """
    name = comparison.subjects[0]
    row = comparison.subject == name
    fps = comparison.shards[0].shard.header.fps or 1.0
    time = (np.arange(int(row.sum())) / fps).tolist()
    fitted = fitted_f_exp(comparison)
    drawn = []
    for blendshape in COURSES:
        if blendshape not in comparison.expression_names:
            continue
        column = comparison.expression_names.index(blendshape)
        courses = (
            comparison.true_f_exp[row, column],
            exact.f_exp[row, column],
            fitted[row, column],
        )
        series = _course_series(*(c.tolist() for c in courses))
        drawn.append(
            charts.line_chart(
                time,
                series,
                title=f"{blendshape} of {name} over time, true and fitted",
                heading=blendshape,
                x_label="seconds",
            )
        )
    return Section(
        "courses",
        "Coefficients over time",
        "Where the blue line leaves the black one, the fit from detected landmarks is wrong; where "
        "the orange one does not leave it, the detector is the cause.",
        [
            Chart(
                drawn,
                f"Coefficients of {name}; a gap is a frame without a fit.",
                charts.legend(_course_series([], [], []), lines=True),
            )
        ],
    )


def _course_series(
    true: Sequence[float], exact: Sequence[float], fitted: Sequence[float]
) -> list[Series]:
    return [
        Series("true", true, charts.BLACK),
        Series("fitted to true landmarks", exact, charts.ORANGE, dash="5 3"),
        Series("fitted to detected landmarks", fitted, charts.BLUE),
    ]


def demo_results(
    comparison: TruthComparison,
    evaluation: Mapping[str, Any],
    losses: Mapping[str, Any],
    ingredients: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Collect all figures of a demo.

    Parameters
    ----------
    comparison : TruthComparison
        The demo's frames.
    evaluation : mapping
        `Evaluation.results`.
    losses : mapping
        Of `stage_losses`.
    ingredients : mapping
        Of `measure_ingredients`.
    seconds : mapping
        By stage, with `total`.

    Returns
    -------
    dict
        Fractions and F1 lie in [0, 1]; landmark errors are over the inter-ocular distance. None
        stands where the data defines no value: f_exp_r of a blendshape that the truth leaves at
        rest.
    """
    errors = landmark_errors(comparison.landmarks[comparison.valid], _true_landmarks(comparison))
    return {
        "frames": len(comparison),
        "valid_fraction": float(comparison.valid.mean()),
        "landmark_nme": {name: plain(errors[name]) for name in ("inner51", "all68")},
        "f_exp_r": _f_exp_r(comparison),
        "f1": {
            **evaluation["f1"],
            "mean_over_folds": evaluation["f1_mean_over_folds"]["mean"],
            "always_positive": dict(evaluation["always_positive_f1"]),
        },
        **ingredients,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "versions": versions(),
        "losses": dict(losses),
    }


def versions() -> dict[str, str]:
    """Give the versions of glee, Python and the libraries that compute."""
    found = {"glee": __version__, "python": platform.python_version()}
    return found | {
        name: str(import_module(module).__version__) for name, module in _LIBRARIES.items()
    }


def _true_landmarks(comparison: TruthComparison) -> Any:
    return comparison.true_landmarks[comparison.valid]


def _f_exp_r(comparison: TruthComparison) -> dict[str, float | None]:
    wanted = moved(comparison.true_f_exp)
    r = np.where(wanted, correlations(fitted_f_exp(comparison), comparison.true_f_exp), np.nan)
    by_name = {
        name: plain(value) for name, value in zip(comparison.expression_names, r, strict=True)
    }
    known = r[np.isfinite(r)]
    return {**by_name, "median": float(np.median(known)) if known.size else None}
