"""Charts of many frames as inline SVG: outcome strips, dots over time, heat maps.

A mark that stands for a frame carries the frame's name, by which the report shows its face on hover
and on focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from . import charts
from .charts import nice_ticks

# Of an outcome, by its place in pipeline.shards.REASONS: of different lightness too.
OUTCOME_COLOURS = (
    "#d9e4ec",
    "#d55e00",
    "#0072b2",
    "#a0527f",
    "#1a1a1a",
    "#007a5a",
    "#7a5c00",
    "#555555",
)
_ROW, _TOP, _BOTTOM, _CHARACTER = 18, 8, 26, 7.2
# Light to dark, even in lightness and safe for colour-blind eyes (ends of Cividis, reversed).
_LIGHT, _MIDDLE, _DARK = (254, 248, 214), (122, 134, 150), (0, 32, 77)


@dataclass(frozen=True)
class Dots:
    """Frames to be drawn as dots.

    Attributes
    ----------
    x, y : sequence of float
        Of each frame; those without a finite y are left out.
    frame : sequence of str
        Names of their pictures, "" for none.
    text : sequence of str
        Shown on hover.
    colour : str
        Of CSS.
    """

    x: Sequence[float]
    y: Sequence[float]
    frame: Sequence[str]
    text: Sequence[str]
    colour: str = charts.BLUE


def strip_chart(
    labels: Sequence[str],
    outcomes: Sequence[npt.NDArray[np.uint8]],
    names: Sequence[str],
    *,
    title: str,
    width: int = 900,
) -> Markup:
    """Draw one strip a clip, its frames from left to right, coloured by outcome.

    Parameters
    ----------
    labels : sequence of str
        Names of the clips.
    outcomes : sequence of (n,) uint8
        Of each clip, indices into names.
    names : sequence of str
        Of the outcomes.
    title : str
        What a screen reader says.
    width : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    left = _left(labels)
    longest = max(len(outcome) for outcome in outcomes)
    scale = (width - left - 10) / longest
    parts = []
    for row, (label, outcome) in enumerate(zip(labels, outcomes, strict=True)):
        y = _TOP + _ROW * row
        parts.append(_text(left - 6, y + 12, label, "end"))
        for start, stop in _runs(outcome):
            kind = int(outcome[start])
            said = f"{label}: frames {start} to {stop - 1}, {names[kind].replace('_', ' ')}"
            wide = max(scale * (stop - start), 1.0)
            parts.append(
                f'<rect x="{left + scale * start:.1f}" y="{y + 2}" width="{wide:.1f}" '
                f'height="{_ROW - 5}" fill="{OUTCOME_COLOURS[kind]}">'
                f"<title>{escape(said)}</title></rect>"
            )
    height = _TOP + _ROW * len(labels) + _BOTTOM
    parts.append(_text(left, height - 9, "frame 0", "start"))
    parts.append(_text(width - 10, height - 9, f"frame {longest - 1}", "end"))
    return _svg(width, height, title, parts)


def outcome_legend(names: Sequence[str], kinds: Sequence[int]) -> Markup:
    """List the outcomes that occur, with their colours.

    Parameters
    ----------
    names : sequence of str
        Of all outcomes.
    kinds : sequence of int
        Those that occur, indices into names.

    Returns
    -------
    Markup
        A list element.
    """
    items = [
        f'<li><svg width="18" height="14" aria-hidden="true"><rect width="18" height="14" '
        f'fill="{OUTCOME_COLOURS[kind]}"/></svg> {escape(names[kind].replace("_", " "))}</li>'
        for kind in kinds
    ]
    return Markup(f'<ul class="legend">{"".join(items)}</ul>')


def dots_chart(
    dots: Dots, *, title: str, x_label: str, y_label: str, width: int = 900, height: int = 240
) -> Markup:
    """Draw dots over x; each can be reached by keyboard and shows its frame.

    Parameters
    ----------
    dots : Dots
        Frames.
    title : str
        What a screen reader says.
    x_label, y_label : str
        Written at the axes.
    width, height : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    finite = [value for value in dots.y if np.isfinite(value)] or [1.0]
    horizontal = nice_ticks(min(dots.x, default=0), max(dots.x, default=1))
    vertical = nice_ticks(0.0, max(finite), 5)
    left, right, top, bottom = 46.0, width - 12.0, 22.0, height - 34.0
    parts = [_text(left - 40, 13, y_label, "start")]
    for tick in vertical:
        y = _between(tick, vertical, bottom, top)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#dddddd"/>')
        parts.append(_text(left - 5, y + 4, f"{tick:g}", "end"))
    for tick in horizontal:
        parts.append(
            _text(_between(tick, horizontal, left, right), bottom + 15, f"{tick:g}", "middle")
        )
    parts.append(_text(right, height - 3, x_label, "end"))
    for x, y, frame, text in zip(dots.x, dots.y, dots.frame, dots.text, strict=True):
        if np.isfinite(y):
            at = f'cx="{_between(x, horizontal, left, right):.1f}" '
            at += f'cy="{_between(y, vertical, bottom, top):.1f}"'
            shown = f' tabindex="0" data-frame="{escape(frame)}"' if frame else ""
            parts.append(
                f'<circle {at} r="4" fill="{dots.colour}" fill-opacity="0.75"{shown}>'
                f"<title>{escape(text)}</title></circle>"
            )
    return _svg(width, height, title, parts)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: npt.NDArray[np.floating],
    *,
    title: str,
    upper: float = 1.0,
    width: int = 900,
) -> Markup:
    """Draw a grid of cells, light at 0 and dark at `upper`; the value of each on hover.

    Parameters
    ----------
    rows, columns : sequence of str
        Names.
    values : (rows, columns) float
        NaN where there is none.
    title : str
        What a screen reader says.
    upper : float
        Value of the darkest cell.
    width : int
        Pixels.

    Returns
    -------
    Markup
        An svg element.
    """
    left, top = _left(rows), 8 + _CHARACTER * max(len(name) for name in columns)
    wide = min((width - left - 10) / len(columns), 46.0)
    parts = []
    for column, name in enumerate(columns):
        x = left + wide * (column + 0.5) + 4
        parts.append(
            f'<text transform="translate({x:.1f} {top - 5}) rotate(-90)" fill="#1a1a1a">'
            f"{escape(name)}</text>"
        )
    for row, name in enumerate(rows):
        y = top + 15 * row
        parts.append(_text(left - 6, y + 12, name, "end"))
        for column, other in enumerate(columns):
            value = float(values[row, column])
            said = "not defined" if not np.isfinite(value) else f"{value:.2f}"
            parts.append(
                f'<rect x="{left + wide * column:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" '
                f'height="14" fill="{_shade(value / upper)}">'
                f"<title>{escape(f'{name}, {other}: {said}')}</title></rect>"
            )
    return _svg(width, round(top + 15 * len(rows) + 8), title, parts)


def _runs(outcome: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(outcome)) + 1).tolist(), len(outcome)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _shade(share: float) -> str:
    if not np.isfinite(share):
        return "#ffffff"
    share = min(max(share, 0.0), 1.0)
    first, second = (_LIGHT, _MIDDLE) if share < 0.5 else (_MIDDLE, _DARK)
    weight = 2 * share if share < 0.5 else 2 * share - 1
    mixed = [round(a + weight * (b - a)) for a, b in zip(first, second, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _between(value: float, ticks: Sequence[float], start: float, stop: float) -> float:
    return start + (value - ticks[0]) / max(ticks[-1] - ticks[0], 1e-12) * (stop - start)


def _left(labels: Sequence[str]) -> float:
    return round(12 + _CHARACTER * max(len(label) for label in labels))


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg role="group" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-size="12" fill="#1a1a1a">{"".join(parts)}</svg>'
    )
