import xml.etree.ElementTree as ElementTree

import pytest

from glee.reports.charts import Series, bar_chart, dot_chart, legend, line_chart, nice_ticks


def parsed(markup):
    """The chart as XML, which inline SVG must be."""
    return ElementTree.fromstring(str(markup))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.3, 0.9, [-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 7.3, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
        (0.0, 130.0, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_bars_are_as_long_as_their_values():
    chart = parsed(bar_chart(["a", "b", "c"], [2.0, 8.0, 4.0], title="t"))
    widths = [float(bar.get("width")) for bar in chart.findall("rect")]
    assert widths[1] / widths[0] == pytest.approx(4.0, rel=0.01)
    assert widths[1] / widths[2] == pytest.approx(2.0, rel=0.01)


def test_a_value_that_is_not_defined_has_no_bar_and_says_so():
    chart = bar_chart(["a", "b"], [float("nan"), 1.0], title="t")
    assert len(parsed(chart).findall("rect")) == 1
    assert "not defined" in chart


def test_dots_lie_at_their_values_on_the_axis():
    series = [Series("one", [0.0, 0.5]), Series("two", [1.0, float("nan")])]
    chart = parsed(dot_chart(["a", "b"], series, title="t"))
    x = [float(dot.get("cx")) for dot in chart.findall("circle")]
    assert len(x) == 3
    zero, one, half = x
    assert half == pytest.approx((zero + one) / 2, abs=0.1)


def test_an_axis_stretches_to_a_value_below_it():
    chart = parsed(dot_chart(["a"], [Series("one", [-0.4])], title="t"))
    (dot,) = chart.findall("circle")
    grid = [float(path.get("d")[1:].split(" ")[0]) for path in chart.findall("path")]
    assert min(grid) - 0.1 <= float(dot.get("cx")) <= max(grid)


def test_a_missing_value_interrupts_a_line():
    values = [0.0, 0.2, float("nan"), 0.6, 0.8]
    chart = parsed(
        line_chart(range(5), [Series("one", values)], title="t", heading="h", x_label="s")
    )
    (line,) = [path for path in chart.findall("path") if path.get("fill") == "none"]
    assert line.get("d").count("M") == 2
    assert line.get("d").count("L") == 2


def test_names_cannot_break_out_of_the_markup():
    bad = '<script>"&'
    for markup in (
        bar_chart([bad], [1.0], title=bad),
        dot_chart([bad], [Series(bad, [0.5])], title=bad),
        legend([Series(bad, [])]),
    ):
        assert "<script" not in markup
        parsed(markup)


def test_a_chart_says_what_it_is():
    assert parsed(bar_chart(["a"], [1.0], title="Seconds")).get("aria-label") == "Seconds"
