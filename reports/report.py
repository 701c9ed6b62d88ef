"""A report: sections of figures and tables, rendered as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from ..whole_files import write_whole

TEMPLATE = "report.html"


@dataclass(frozen=True)
class KeyFigure:
    """One number at the top of a report.

    Attributes
    ----------
    label : str
        What it is.
    value : str
        With its unit.
    note : str
        What it is compared with.
    """

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes
    ----------
    uri : str
        As a data URI.
    alt : str
        What it shows, for those who do not see it.
    label : str
        Written below it.
    """

    uri: str
    alt: str
    label: str


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side.

    Attributes
    ----------
    pictures : sequence of Picture
        From left to right.
    caption : str
        The text that goes with them.
    kind : str
        For the template.
    """

    pictures: Sequence[Picture]
    caption: str
    kind: str = "pictures"


@dataclass(frozen=True)
class Chart:
    """SVG charts of one caption.

    Attributes
    ----------
    charts : sequence of Markup
        From left to right.
    caption : str
        Below them.
    legend : Markup or str
        Of `charts.legend`, or "".
    kind : str
        For the template.
    """

    charts: Sequence[Markup]
    caption: str
    legend: Markup | str = ""
    kind: str = "chart"


@dataclass(frozen=True)
class Table:
    """Rows of text below a header.

    Attributes
    ----------
    caption : str
        Above the table.
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells.
    numbers : sequence of int
        Columns that are set to the right.
    strong : sequence of int
        Rows that stand out.
    kind : str
        For the template.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    strong: Sequence[int] = ()
    kind: str = "table"


@dataclass(frozen=True)
class Section:
    """A heading and what it shows.

    Attributes
    ----------
    name : str
        Anchor in the file.
    title : str
        The heading.
    meaning : str
        One or two sentences on what its numbers mean.
    blocks : sequence of PictureRow, Chart or Table
        From top to bottom.
    """

    name: str
    title: str
    meaning: str
    blocks: Sequence[PictureRow | Chart | Table]


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes
    ----------
    title : str
        Of the file.
    lead : str
        What was done, in a sentence or two.
    figures : sequence of KeyFigure
        At the top.
    sections : sequence of Section
        In order.
    foot : str
        What it was made with.
    faces : mapping of str to str
        Data URIs by the frame names that charts carry, shown on hover and on focus.
    """

    title: str
    lead: str
    figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    foot: str
    faces: Mapping[str, str] = field(default_factory=dict)


def render_report(report: Report) -> str:
    """Render `report` as HTML: styles and pictures inside, nothing loaded from elsewhere."""
    return _template().render(report=report)


def write_report(path: Path, report: Report) -> None:
    """Write a report, whole or not at all.

    Parameters
    ----------
    path : Path
        HTML file.
    report : Report
        To write.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    write_whole(path, render_report(report).encode())


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("glee.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)
