"""A plot of a comparison: average F1 of the paper and of this run, in panels of their own."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.figure import Figure

from .comparison import Comparison
from .palette import COLOURS, GREY, new_figure
from .rows import FULL

_ROW_HEIGHT, _PANEL_WIDTH = 0.27, 5.2  # inches
_TITLE_WIDTH = 54  # characters


def comparison_plot(comparison: Comparison) -> Figure:
    """Left the published averages, where there are any; right those of this run with intervals."""
    published, measured = comparison.published, comparison.measured
    panels = 2 if published is not None else 1
    rows = max(len(measured), len(published.methods) if published is not None else 0)
    figure = new_figure(_PANEL_WIDTH * panels, 1.7 + _ROW_HEIGHT * rows)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if published is not None:
        names = [method.name for method in published.methods]
        _dots(axes[0], names, [method.mean for method in published.methods], None)
        axes[0].set_title(f"Published (Table {published.number})\n{published.protocol}")
    names = [one.name for one in measured]
    _dots(axes[-1], names, [one.mean for one in measured], [one.interval for one in measured])
    heading = f"{comparison.measured_heading}{' (--quick)' if comparison.quick else ''}"
    axes[-1].set_title("\n".join(wrap(heading, _TITLE_WIDTH)))
    return figure


def _dots(
    axes: Any,
    names: Sequence[str],
    values: Sequence[float | None],
    intervals: Sequence[tuple[float | None, float | None]] | None,
) -> None:
    """Horizontal dots, GLEE-Net as a filled diamond; the value written beside."""
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        colour, mark = (COLOURS[1], "D") if name == FULL else (COLOURS[0], "o")
        if value is None:
            axes.text(0, row, " not defined", va="center", color=GREY)
            continue
        if intervals is not None and None not in intervals[row]:
            axes.plot(intervals[row], [row, row], color=colour, linewidth=1.6)
        axes.plot([value], [row], mark, color=colour, markersize=6)
        axes.annotate(
            f"{value:.1f}", (value, row), (0, 6), textcoords="offset points", ha="center", size=7
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.3, -0.8)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.set_xlabel("F1, mean over AUs (%)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
