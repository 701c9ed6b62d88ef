"""Sections of a report on expression coefficients: how well they follow the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import charts
from .accuracy import correlations, moved
from .charts import Series
from .demo.comparison import Comparison
from .demo.stage_losses import fitted_f_exp
from .report import Chart, Section
from .true_landmark_fit import TrueLandmarkFit

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


def correlation_section(comparison: Comparison, exact: TrueLandmarkFit) -> Section:
    """How each coefficient correlates with the truth, fitted to true and to detected landmarks."""
    wanted = np.flatnonzero(moved(comparison.true_f_exp))
    seen = correlations(fitted_f_exp(comparison), comparison.true_f_exp)
    best = correlations(exact.f_exp, comparison.true_f_exp)
    order = wanted[np.argsort(-np.nan_to_num(seen[wanted]), kind="stable")]
    series = [
        Series("from true landmarks", best[order].tolist(), charts.ORANGE, "diamond"),
        Series("from detected landmarks", seen[order].tolist(), charts.BLUE, "disc"),
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


def course_section(comparison: Comparison, exact: TrueLandmarkFit) -> Section:
    """Courses of COURSES over time for the first subject, true and fitted."""
    name = comparison.subjects[0]
    row = comparison.subject == name
    fps = comparison.parts[0].shard.header.fps or 1.0
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
