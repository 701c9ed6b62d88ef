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
    """One number at the top. note: what it is compared with."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, and what it shows, for those who do not see it."""

    uri: str
    alt: str
    label: str


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side and the text that goes with them."""

    pictures: Sequence[Picture]
    caption: str
    kind: str = "pictures"


@dataclass(frozen=True)
class Chart:
    """SVG charts of one caption; legend: markup of `figures.legend` or ""."""

    charts: Sequence[Markup]
    caption: str
    legend: Markup | str = ""
    kind: str = "chart"


@dataclass(frozen=True)
class Table:
    """Rows of text below a header; columns in `numbers` are set to the right.

    strong: indices of rows that stand out.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    strong: Sequence[int] = ()
    kind: str = "table"


@dataclass(frozen=True)
class Section:
    """A heading, one or two sentences on what its numbers mean, and what it shows."""

    name: str
    title: str
    meaning: str
    blocks: Sequence[PictureRow | Chart | Table]


@dataclass(frozen=True)
class Report:
    """A whole report. lead: what was done, in a sentence or two. foot: what it was made with.

    faces: pictures by the frame names that charts carry, shown on hover and on focus.
    """

    title: str
    lead: str
    figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    foot: str
    faces: Mapping[str, str] = field(default_factory=dict)


def render_report(report: Report) -> str:
    """The report as HTML: styles and pictures inside, nothing loaded from elsewhere."""
    return _template().render(report=report)


def write_report(path: Path, report: Report) -> None:
    """Write the report, whole. Raises OutputError where it cannot be written."""
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
