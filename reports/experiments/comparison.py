"""Our figures beside the paper's Tables 1-5: as text, Markdown, CSV, plain data and a plot.

The paper's tables are kept as data with their source: every compared method, per AU. Figures on
rendered people never share a heading with figures on a dataset: they stand in a block of their own
that says what they are.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .palette import COLOURS, GREY, new_figure
from .rows import FULL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SYNTHETIC_WARNING = (
    "SYNTHETIC DATA: the people of this run are rendered by `glee synth`. Its figures say that "
    "everything runs, and how choices compare with each other; they are not comparable with "
    "published figures."
)
QUICK_WARNING = "QUICK: one fold, one epoch where none was asked for. Not the experiment's figures."

TABLES = (1, 2, 3, 4, 5)

_ROW_HEIGHT, _PANEL_WIDTH = 0.27, 5.2  # inches
_TITLE_WIDTH = 54  # characters


@dataclass(frozen=True)
class PublishedMethod:
    """A row of a table of the paper.

    Attributes
    ----------
    name : str
        As printed.
    f1 : tuple of float
        Percent, one for each AU.
    mean : float
        As printed, percent.
    reference : str
        Of a compared method.
    recomputed : float or None
        Mean of the printed row where it is not the printed one within rounding.
    """

    name: str
    f1: tuple[float, ...]
    mean: float
    reference: str
    recomputed: float | None


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes
    ----------
    number : int
        In the paper.
    dataset : str
        On which it is measured.
    protocol : str
        How, in words.
    source : str
        Where the figures stand.
    aus : tuple of int
        Columns.
    methods : tuple of PublishedMethod
        Rows.
    """

    number: int
    dataset: str
    protocol: str
    source: str
    aus: tuple[int, ...]
    methods: tuple[PublishedMethod, ...]

    @property
    def au_names(self) -> tuple[str, ...]:
        """("AU1", ...), one for each column."""
        return tuple(f"AU{number}" for number in self.aus)

    def method(self, name: str) -> PublishedMethod | None:
        """Find the row of this `name`; None where the table has none."""
        return next((method for method in self.methods if method.name == name), None)


def published_table(number: int) -> PublishedTable:
    """Read a table by its `number` in the paper, one of TABLES."""
    file = resources.files(__package__) / "published" / f"table{number}.toml"
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return PublishedTable(
        number=content["table"],
        dataset=content["dataset"],
        protocol=content["protocol"],
        source=content["source"],
        aus=tuple(content["aus"]),
        methods=tuple(
            PublishedMethod(
                name=row["name"],
                f1=tuple(row["f1"]),
                mean=row["mean"],
                reference=row.get("reference", ""),
                recomputed=row.get("recomputed"),
            )
            for row in content["methods"]
        ),
    )


@dataclass(frozen=True)
class Measured:
    """A row of ours, in percent.

    Attributes
    ----------
    name : str
        As the paper prints it.
    f1 : mapping of str to float or None
        By AU name.
    mean : float or None
        Over the AUs.
    interval : (float or None, float or None)
        Of the mean, 95 % over subjects.
    results : mapping
        As `evaluate` gives them.
    """

    name: str
    f1: Mapping[str, float | None]
    mean: float | None
    interval: tuple[float | None, float | None]
    results: Mapping[str, Any] = field(default_factory=dict)


def measured_row(name: str, results: Mapping[str, Any]) -> Measured:
    """Make a row of what `evaluate` gives.

    Parameters
    ----------
    name : str
        As the paper prints it.
    results : mapping
        Whose figures are shares, 0 to 1.

    Returns
    -------
    Measured
        In percent.
    """
    low, high = results["f1_interval"]
    return Measured(
        name=name,
        f1={au: _percent(results["f1"][au]) for au in results["aus"]},
        mean=_percent(results["f1"]["mean"]),
        interval=(_percent(low), _percent(high)),
        results=results,
    )


@dataclass(frozen=True)
class TableComparison:
    """What an experiment shows.

    Attributes
    ----------
    title : str
        Its heading.
    published : PublishedTable or None
        None where the paper prints nothing.
    measured : tuple of Measured
        Our rows.
    on : str
        The data that ours are measured on, in words.
    synthetic : bool
        Whether its people are rendered.
    quick : bool
        Whether --quick was given.
    notes : tuple of str
        What a reader must know besides.
    departures : tuple of str
        Wherein the run is not as published, see `departures_of`.
    """

    title: str
    published: PublishedTable | None
    measured: tuple[Measured, ...]
    on: str
    synthetic: bool
    quick: bool
    notes: tuple[str, ...] = ()
    departures: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether the paper's figures may be held against these."""
        return not (self.synthetic or self.quick or self.departures)

    @property
    def departures_heading(self) -> str:
        """What stands above the list of departures."""
        return (
            f"DEPARTURES from what was published ({len(self.departures)}), so that these figures "
            "are not comparable with the published ones:"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stands over every output, before the notes."""
        synthetic = (SYNTHETIC_WARNING,) if self.synthetic else ()
        return (*synthetic, *((QUICK_WARNING,) if self.quick else ()))

    @property
    def au_names(self) -> tuple[str, ...]:
        """AUs of the columns: the paper's, where it prints any."""
        if self.published is not None:
            return self.published.au_names
        return tuple(self.measured[0].f1)

    @property
    def measured_heading(self) -> str:
        """Heading of our block."""
        kind = "" if self.comparable else ": not comparable with published figures"
        return f"This run, F1 (%) on {self.on}{kind}"


def blocks(comparison: TableComparison) -> list[tuple[str, list[list[str]]]]:
    """Lay out the tables to print.

    On a dataset there is one table, the paper's methods above ours, and the difference to the
    paper's GLEE-Net. On rendered people there are two.

    Parameters
    ----------
    comparison : TableComparison
        What to print.

    Returns
    -------
    list of (str, list of list of str)
        Heading and rows, the first of them the column names.
    """
    aus, published = comparison.au_names, comparison.published
    head = ["method", *aus, "Avg."]
    printed = (
        [[m.name, *_cells(m.f1), _cell(m.mean)] for m in published.methods] if published else []
    )
    ours = [
        [m.name, *_cells([m.f1.get(au) for au in aus]), _cell(m.mean), _interval(m)]
        for m in comparison.measured
    ]
    if published is None:
        return [(comparison.measured_heading, [[*head, "95 % of Avg."], *ours])]
    heading = f"Published, F1 (%): {published.protocol}"
    if comparison.synthetic:
        return [
            (heading, [head, *printed]),
            (comparison.measured_heading, [[*head, "95 % of Avg."], *ours]),
        ]
    named = [[f"{row[0]} (this run)", *row[1:]] for row in ours]
    both = [*([*row, ""] for row in printed), *named, *_differences(comparison)]
    apart = "" if comparison.comparable else ", not comparable with the published ones"
    together = f"{heading}; rows of this run: {comparison.on}{apart}"
    return [(together, [[*head, "95 % of Avg."], *both])]


def _differences(comparison: TableComparison) -> list[list[str]]:
    """A line for each row of ours that the paper has too: ours less the paper's."""
    lines = []
    for ours in comparison.measured:
        theirs = comparison.published.method(ours.name) if comparison.published else None
        if theirs is None:
            continue
        pairs = zip(comparison.au_names, theirs.f1, strict=True)
        cells = [_difference(ours.f1.get(au), value) for au, value in pairs]
        label = f"{ours.name}: this run less the paper"
        lines.append([label, *cells, _difference(ours.mean, theirs.mean), ""])
    return lines


def text_of(comparison: TableComparison) -> str:
    """Print `comparison` for a terminal."""
    lines = [comparison.title, *comparison.warnings]
    if comparison.departures:
        lines += [comparison.departures_heading, *(f"- {one}" for one in comparison.departures)]
    lines.append("")
    for heading, rows in blocks(comparison):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines.append(heading)
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        lines.append("")
    return "\n".join([*lines, *comparison.notes]).rstrip()


def markdown_of(comparison: TableComparison, pictures: Sequence[str] = ()) -> str:
    """Print a comparison as Markdown.

    Parameters
    ----------
    comparison : TableComparison
        What to print.
    pictures : sequence of str
        Names of files beside it.

    Returns
    -------
    str
        Markdown.
    """
    lines = [f"# {comparison.title}", ""]
    for warning in comparison.warnings:
        lines += [f"> **{warning}**", ""]
    if comparison.departures:
        lines += [f"**{comparison.departures_heading}**", ""]
        lines += [*(f"- {one}" for one in comparison.departures), ""]
    for heading, rows in blocks(comparison):
        lines += [f"## {heading}", "", *_markdown_table(rows), ""]
    for picture in pictures:
        lines += [f"![{comparison.title}]({picture})", ""]
    lines += [f"- {note}" for note in comparison.notes]
    if comparison.published is not None:
        lines.append(f"- Published figures: {comparison.published.source}.")
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(rows: list[list[str]]) -> list[str]:
    rule = "|---|" + "---:|" * (len(rows[0]) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], rule, *lines[1:]]


def csv_of(comparison: TableComparison) -> str:
    """Print `comparison` in long form: method, origin, AU (or Avg.), F1 in percent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "origin", "au", "f1_percent"])
    if comparison.published is not None:
        for method in comparison.published.methods:
            pairs = zip(comparison.au_names, method.f1, strict=True)
            for au, value in (*pairs, ("Avg.", method.mean)):
                writer.writerow([method.name, "published", au, f"{value:.1f}"])
    origin = "this run, synthetic people" if comparison.synthetic else "this run"
    for ours in comparison.measured:
        for name, share in (*ours.f1.items(), ("Avg.", ours.mean)):
            writer.writerow([ours.name, origin, name, "" if share is None else f"{share:.2f}"])
    return text.getvalue()


def data_of(comparison: TableComparison) -> dict[str, Any]:
    """Give `comparison` as plain data for JSON."""
    published = comparison.published
    key = "measured_on_synthetic_people" if comparison.synthetic else "measured"
    return {
        "title": comparison.title,
        "synthetic": comparison.synthetic,
        "comparable_with_published": comparison.comparable,
        "departures": list(comparison.departures),
        "quick": comparison.quick,
        "warnings": list(comparison.warnings),
        "notes": list(comparison.notes),
        "published": None
        if published is None
        else {
            "table": published.number,
            "source": published.source,
            "protocol": published.protocol,
            "f1_percent": {
                m.name: dict(zip((*published.au_names, "Avg."), (*m.f1, m.mean), strict=True))
                for m in published.methods
            },
        },
        key: {
            "on": comparison.on,
            "f1_percent": {m.name: {**m.f1, "Avg.": m.mean} for m in comparison.measured},
            "interval_percent": {m.name: list(m.interval) for m in comparison.measured},
            "results": {m.name: dict(m.results) for m in comparison.measured},
        },
        "full": FULL,
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _cells(values: Sequence[float | None]) -> list[str]:
    return [_cell(value) for value in values]


def _difference(ours: float | None, theirs: float) -> str:
    return "-" if ours is None else f"{ours - theirs:+.1f}"


def _interval(measured: Measured) -> str:
    low, high = measured.interval
    return "-" if low is None or high is None else f"{low:.1f}-{high:.1f}"


def comparison_plot(comparison: TableComparison) -> Figure:
    """Plot average F1: left the published, where there is any; right that of this run.

    Parameters
    ----------
    comparison : TableComparison
        What to plot.

    Returns
    -------
    Figure
        One or two panels; intervals are those of this run.
    """
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
