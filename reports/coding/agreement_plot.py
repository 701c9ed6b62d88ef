"""Agreement drawn: the measures of each Action Unit, and of one clip both codings over time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UsageError
from ...whole_files import write_whole
from ..charts import BLACK, BLUE, GREEN, ORANGE, PURPLE
from .agreement import Agreement, ClipAgreement, UnitOfClip
from .agreement_measures import LEVEL
from .events import frame_ends, runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Measure, name, colour and mark: shapes tell them apart as colours do.
_SERIES = (
    ("kappa", "Cohen's kappa", BLACK, "o"),
    ("auc", "AUC", BLUE, "s"),
    ("f1", "F1 by frame", ORANGE, "^"),
    ("event_f1", "F1 by event", GREEN, "D"),
    ("icc21", "ICC(2,1)", PURPLE, "v"),
)
_PERSON, _TABLE, _LOST = BLACK, BLUE, "#dddddd"
_ROW_HEIGHT, _WIDTH = 0.42, 9.0


def check_plot(path: Path) -> None:
    """UsageError where a picture's name does not end in .png, .svg or .pdf."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path}: give a name that ends in .png, .svg or .pdf")


def plot_agreement(path: Path, found: Agreement) -> None:
    """Draw agreement into a picture.

    Parameters
    ----------
    path : Path
        .png, .svg or .pdf.
    found : Agreement
        Of one clip, the person's events stand over the table's; of several, measures with their
        intervals.

    Raises
    ------
    UsageError
        For another suffix.
    OutputError
        Where it cannot be written.
    """
    from matplotlib.figure import Figure

    check_plot(path)
    single = found.clips[0] if len(found.clips) == 1 else None
    heights = [0.8 + _ROW_HEIGHT * max(len(found.units), 3)]
    if single is not None:
        heights.insert(0, 0.8 + 1.2 * _ROW_HEIGHT * max(len(single.units), 2))
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if single is not None:
        _draw_time(axes[0], single)
    _draw_measures(axes[-1], found)
    picture = io.BytesIO()
    # No date and no version in the file: the same figures give the same bytes.
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150, metadata=_silent(path))
    write_whole(path, picture.getbuffer())


def _silent(path: Path) -> dict[str, Any]:
    return {
        ".png": {"Software": None},
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }[path.suffix.lower()]


def _draw_measures(axes: Axes, found: Agreement) -> None:
    """A row for each Action Unit, a mark for each measure, a bar for its interval."""
    names = [*found.units, *(["mean"] if len(found.units) > 1 else [])]
    offsets = np.linspace(-0.3, 0.3, len(_SERIES))
    lowest = 0.0
    for (measure, label, colour, mark), offset in zip(_SERIES, offsets, strict=True):
        values = [found.measures[name][measure] for name in names]
        at = np.arange(len(names)) + offset
        centre = np.array([value.value for value in values])
        ends = np.array([[value.low, value.high] for value in values])
        if not np.isfinite(centre).any():
            continue
        axes.hlines(at, ends[:, 0], ends[:, 1], color=colour, linewidth=1.2)
        axes.plot(centre, at, mark, color=colour, markersize=5, label=label)
        lowest = min(lowest, float(np.nanmin([centre, *ends.T])))
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        ylim=(len(names) - 0.5, -0.5),
        xlim=(lowest - 0.03, 1.03),
        xlabel=f"agreement; bars: {LEVEL:.0%} intervals over {len(found.clips)} clips"
        if len(found.clips) > 1
        else "agreement; one clip has no intervals",
    )
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_time(axes: Axes, clip: ClipAgreement) -> None:
    """Of each Action Unit the person's events above the table's, its curve over both."""
    ends = frame_ends(clip.times)
    for row, of in enumerate(clip.units):
        for spans, low, colour, hatch in (
            (of.coded_events, row - 0.38, _PERSON, ""),
            (of.shown_events, row + 0.04, _TABLE, "////"),
        ):
            bars = [(clip.times[a], ends[b] - clip.times[a]) for a, b in spans]
            face = colour if not hatch else "#ffffff"
            axes.broken_barh(bars, (low, 0.34), facecolor=face, edgecolor=colour, hatch=hatch)
        axes.plot(clip.times, row + 0.38 - 0.76 * _scaled(of), color=ORANGE, linewidth=1.0)
    for first, last in runs(clip.lost):
        axes.axvspan(clip.times[first], ends[last], color=_LOST, linewidth=0, zorder=0)
    several = len({of.face for of in clip.units}) > 1
    axes.set(
        yticks=range(len(clip.units)),
        yticklabels=[of.unit + (f" face {of.face}" if several else "") for of in clip.units],
        ylim=(len(clip.units) - 0.5, -0.5),
        xlim=(clip.times[0], ends[-1]),
        xlabel="seconds",
    )
    axes.spines[["top", "right"]].set_visible(False)
    _name_marks(axes, lost=bool(clip.lost.any()))


def _scaled(of: UnitOfClip) -> Any:
    """The curve within 0 and 1."""
    return np.clip(of.curve.values / (5.0 if of.curve.kind == "intensity" else 1.0), 0, 1)


def _name_marks(axes: Axes, *, lost: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Patch(facecolor=_PERSON, edgecolor=_PERSON, label="person"),
        Patch(facecolor="#ffffff", edgecolor=_TABLE, hatch="////", label="table's events"),
        Line2D([], [], color=ORANGE, linewidth=1.0, label="table's curve"),
    ]
    if lost:
        marks.append(Patch(facecolor=_LOST, label="no face"))
    axes.legend(
        handles=marks, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9
    )
