from html.parser import HTMLParser

import numpy as np
import pytest

from glee.errors import OutputError
from glee.reports.charts import bar_chart
from glee.reports.pictures import jpeg_uri
from glee.reports.report import (
    Chart,
    KeyFigure,
    Picture,
    PictureRow,
    Report,
    Section,
    Table,
    render_report,
    write_report,
)

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements with attributes, and whether tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture
def report():
    picture = Picture(jpeg_uri(np.zeros((8, 8, 3), np.uint8)), "a <black> square", "label")
    return Report(
        title="Title & more",
        lead="Lead.",
        figures=[KeyFigure("Frames", "12", "of 12")],
        sections=[
            Section("one", "One", "What it means.", [PictureRow([picture] * 3, "caption")]),
            Section(
                "two",
                "Two",
                "What it means.",
                [
                    Chart([bar_chart(["a"], [1.0], title="bars")], "caption"),
                    Table("A table", ("name", "value"), [["<b>x</b>", "1"], ["y", "2"]], [1], [1]),
                ],
            ),
        ],
        foot="Foot.",
    )


def test_tags_close_and_text_is_escaped(report):
    text = render_report(report)
    page = Page(text)
    assert not page.open
    assert "<b>x</b>" not in text
    assert "a <black>" not in text
    assert "Title &amp; more" in text


def test_nothing_is_loaded_from_elsewhere(report):
    page = Page(render_report(report))
    sources = [
        attributes[name]
        for _, attributes in page.elements
        for name in ("src", "href", "data", "srcset", "xlink:href")
        if name in attributes
    ]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not page.all("script", "iframe", "object")


def test_it_can_be_read_without_eyes_and_without_a_mouse(report):
    page = Page(render_report(report))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(chart.get("role") == "img" and chart["aria-label"] for chart in page.all("svg"))
    headings = {heading["id"] for heading in page.all("h2")}
    assert {section["aria-labelledby"] for section in page.all("section")} == headings
    targets = {link["href"] for link in page.all("a")}
    assert {f"#{name}" for name in headings} < targets
    assert "#content" in targets
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))


def test_it_is_written_whole_or_not_at_all(report, tmp_path):
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text() == render_report(report)
    with pytest.raises(OutputError, match="cannot write"):
        write_report(tmp_path / "report.html" / "below.html", report)
