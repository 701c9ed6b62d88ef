"""Charts as inline SVG: bars, dots and lines, which shape and dash distinguish as colour does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

# Okabe and Ito (2008), darkened where text-like marks on white need contrast.
BLACK, BLUE, ORANGE, GREEN, PURPLE = "#1a1a1a", "#0072b2", "#d55e00", "#007a5a", "#a0527f"
_FAINT, _GRID = "#555555", "#dddddd"
_ROW, _TOP, _BOTTOM, _CHARACTER = 20, 8, 26, 7.2


@dataclass(frozen=True)
class Series:
    """Values with a look.

    Attributes
    ----------
    name : str
        For the legend.
    values : sequence of float
        NaN where there is none.
    colour : str
        Of CSS.
    mark : str
        "disc", "ring" or "diamond".
    dash : str
        SVG dash pattern of a line, "" for a solid one.
    """

    name: str
    values: Sequence[float]
    colour: str = BLUE
    mark: str = "disc"
    dash: str = ""


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    unit: str = "",
    decimals: int = 1,
    colour: str = BLUE,
    width: int = 640,
) -> Markup:
    """Draw horizontal bars from 0, one a label, the value written at its end.

    Parameters
    ----------
    labels : sequence of str
        From top to bottom.
    values : sequence of float
        NaN is written as not defined.
    title : str
        What a screen reader says.
    unit : str
        Follows each value.
    decimals : int
        Of each value.
    colour : str
        Of CSS.
    width : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    left = _label_width(labels)
    ticks = nice_ticks(0.0, max([*_finite(values), 0.0]) or 1.0)
    right = width - 70
    height = _TOP + _ROW * len(labels) + _BOTTOM
    parts = _frame(ticks, left, right, height, unit)
    for row, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = _TOP + _ROW * row
        parts.append(_text(left - 6, y + 14, label, "end"))
        if not math.isfinite(value):
            parts.append(_text(left + 4, y + 14, "not defined", "start", _FAINT))
            continue
        end = _at(value, ticks, left, right)
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{end - left:.1f}" height="{_ROW - 6}" ')
        parts.append(f'fill="{colour}"/>')
        parts.append(_text(end + 5, y + 14, f"{value:.{decimals}f}{unit}", "start"))
    return _svg(width, height, title, parts)


def dot_chart(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    lower: float = 0.0,
    upper: float = 1.0,
    unit: str = "",
    width: int = 640,
) -> Markup:
    """Draw one line a label, a mark for each series at its value, a thin line between them.

    Parameters
    ----------
    labels : sequence of str
        From top to bottom.
    series : sequence of Series
        A value for each label.
    title : str
        What a screen reader says.
    lower, upper : float
        Ends of the axis, stretched where a value lies outside.
    unit : str
        Follows each value of the axis.
    width : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    every = [value for one in series for value in _finite(one.values)]
    ticks = nice_ticks(min([lower, *every]), max([upper, *every]))
    left, right = _label_width(labels), width - 20
    height = _TOP + _ROW * len(labels) + _BOTTOM
    parts = _frame(ticks, left, right, height, unit)
    for row, label in enumerate(labels):
        y = _TOP + _ROW * row + _ROW / 2
        parts.append(_text(left - 6, y + 4, label, "end"))
        marks = [
            (_at(one.values[row], ticks, left, right), one)
            for one in series
            if math.isfinite(one.values[row])
        ]
        if len(marks) > 1:
            first, last = min(x for x, _ in marks), max(x for x, _ in marks)
            parts.append(f'<path d="M{first:.1f} {y}H{last:.1f}" stroke="#bbbbbb"/>')
        parts.extend(_mark(x, y, one.mark, one.colour) for x, one in marks)
    return _svg(width, height, title, parts)


def line_chart(
    x: Sequence[float],
    series: Sequence[Series],
    *,
    title: str,
    heading: str,
    x_label: str,
    lower: float = 0.0,
    upper: float = 1.0,
    width: int = 440,
    height: int = 150,
) -> Markup:
    """Draw lines over a common x; a NaN interrupts a line.

    Parameters
    ----------
    x : sequence of float
        Common to all series.
    series : sequence of Series
        A value for each x.
    title : str
        What a screen reader says.
    heading : str
        Written over the chart.
    x_label : str
        Written below the axis.
    lower, upper : float
        Ends of the vertical axis.
    width, height : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    horizontal, vertical = nice_ticks(min(x), max(x)), nice_ticks(lower, upper, 4)
    left, right, top, bottom = 34.0, width - 10.0, 22.0, height - 32.0
    parts = [_text(left, 13, heading, "start", BLACK, bold=True)]
    for tick in vertical:
        y = bottom - (tick - vertical[0]) / (vertical[-1] - vertical[0]) * (bottom - top)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{_GRID}"/>')
        parts.append(_text(left - 5, y + 4, f"{tick:g}", "end", _FAINT))
    for tick in horizontal:
        if horizontal[0] <= tick <= max(x):
            where = _between(tick, min(x), max(x), left, right)
            parts.append(_text(where, bottom + 14, f"{tick:g}", "middle", _FAINT))
    parts.append(_text(right, height - 4, x_label, "end", _FAINT))
    for one in series:
        points = [
            (
                _between(at, min(x), max(x), left, right),
                _between(value, vertical[0], vertical[-1], bottom, top),
            )
            for at, value in zip(x, one.values, strict=True)
        ]
        dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
        parts.append(f'<path d="{_path(points)}" fill="none" stroke="{one.colour}"')
        parts.append(f' stroke-width="1.8" stroke-linejoin="round"{dash}/>')
    return _svg(width, height, title, parts)


def legend(series: Sequence[Series], *, lines: bool = False) -> Markup:
    """List the series' names with their marks, or their lines.

    Parameters
    ----------
    series : sequence of Series
        In order.
    lines : bool
        Show the lines.

    Returns
    -------
    Markup
        A list element.
    """
    items = []
    for one in series:
        dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
        sign = (
            f'<path d="M1 7H25" stroke="{one.colour}" stroke-width="2.2"{dash}/>'
            if lines
            else _mark(13, 7, one.mark, one.colour)
        )
        picture = f'<svg width="26" height="14" aria-hidden="true">{sign}</svg>'
        items.append(f"<li>{picture} {escape(one.name)}</li>")
    return Markup(f'<ul class="legend">{"".join(items)}</ul>')


def nice_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Choose ticks at round steps (1, 2 or 5 times a power of ten) that cover low to high.

    Parameters
    ----------
    low, high : float
        Ends of the values.
    most : int
        Steps.

    Returns
    -------
    list of float
        Ticks, ascending.
    """
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(f * power for f in (1, 2, 5, 10, 20) if span / (f * power) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _frame(ticks: Sequence[float], left: float, right: float, height: int, unit: str) -> list[str]:
    """Grid lines with their values below."""
    parts = []
    for tick in ticks:
        x = _at(tick, ticks, left, right)
        colour = "#888888" if tick == 0 else _GRID
        parts.append(f'<path d="M{x:.1f} {_TOP}V{height - _BOTTOM}" stroke="{colour}"/>')
        parts.append(_text(x, height - 9, f"{tick:g}{unit}", "middle", _FAINT))
    return parts


def _at(value: float, ticks: Sequence[float], left: float, right: float) -> float:
    return _between(value, ticks[0], ticks[-1], left, right)


def _between(value: float, low: float, high: float, start: float, stop: float) -> float:
    return start + (value - low) / max(high - low, 1e-12) * (stop - start)


def _path(points: Sequence[tuple[float, float]]) -> str:
    commands, pen_down = [], False
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return "".join(commands)


def _mark(x: float, y: float, kind: str, colour: str) -> str:
    if kind == "diamond":
        d = f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"
        return f'<path d="{d}" fill="#ffffff" stroke="{colour}" stroke-width="1.8"/>'
    fill = "#ffffff" if kind == "ring" else colour
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{colour}" '
        'stroke-width="1.8"/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str, colour: str = BLACK, *, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-size="12">{"".join(parts)}</svg>'
    )


def _label_width(labels: Sequence[str]) -> float:
    return round(12 + _CHARACTER * max((len(label) for label in labels), default=0))


def _finite(values: Sequence[float]) -> list[float]:
    return [float(value) for value in np.asarray(values, float) if math.isfinite(value)]
