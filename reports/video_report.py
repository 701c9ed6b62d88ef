"""A video's Action Units as one HTML file: curves and events under the video, moving with it.

It is made from a finished table. The file loads nothing but the video that lies beside it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from .. import __version__
from ..pipeline.action_units.estimate import SOURCE, au_figures
from ..pipeline.action_units.readings import AUS
from ..pipeline.datasets.action_units import MAXIMUM_INTENSITY, NAMES
from ..whole_files import write_whole
from .charts import nice_ticks
from .coding.au_table import INTENSITY, PROBABILITY, Curve, FaceCurves, read_au_table
from .coding.events import HIDDEN_BELOW, Event, EventOptions, find_events, frame_ends, runs

Floats = npt.NDArray[np.float64]

TEMPLATE = "video_report.html"
# By which a report is known again before it is replaced.
BEGINNING = "<!DOCTYPE html><!-- a video's report by glee -->"
# A curve has at most so many steps, each drawn from its lowest to its highest value.
MOST_STEPS = 2000
_WIDTH, _HEIGHT = MOST_STEPS, 200
_MOST_LISTED = 200
# Labels so near to an end of the time axis are set to its inside.
_EDGE = 0.03


@dataclass(frozen=True)
class TimeAxis:
    """The clip's frames on the horizontal axis.

    Attributes
    ----------
    times, ends : (n,) float64, seconds
        When each frame begins and ends.
    steps : (m,) int64
        First frame of each step of the curves; m is n for short clips.
    """

    times: Floats
    ends: Floats
    steps: npt.NDArray[np.int64]

    @classmethod
    def of(cls, times: Floats) -> TimeAxis:
        """Divide the frames into at most MOST_STEPS steps of equal length."""
        ends = frame_ends(times)
        steps = np.arange(len(times))
        if len(times) > MOST_STEPS:
            share = (times - times[0]) / (ends[-1] - times[0])
            steps = np.unique(np.floor(share * MOST_STEPS), return_index=True)[1]
        return cls(times, ends, steps)

    @property
    def seconds(self) -> float:
        """From the first frame's beginning to the last one's end."""
        return float(self.ends[-1] - self.times[0])

    def share(self, time: float | Floats) -> Any:
        """Where a time lies, 0 to 1."""
        return (time - self.times[0]) / self.seconds

    def middles(self) -> Floats:
        """The middle of each step, 0 to 1."""
        last = np.append(self.steps[1:], len(self.times)) - 1
        return np.asarray(self.share((self.times[self.steps] + self.ends[last]) / 2))

    def place(self, start: float, end: float) -> Markup:
        """A stretch's place as a style: numbers alone, so nothing to escape."""
        left, width = 100 * self.share(start), 100 * (end - start) / self.seconds
        return Markup(f"left:{left:.4g}%;width:{width:.4g}%")


@dataclass(frozen=True)
class Stretch:
    """A time in which a face is lost, or a part of it hidden; times in seconds."""

    what: str
    start: float
    end: float
    first: int


def video_report(
    table: Path,
    out: Path,
    video: Path | None = None,
    *,
    source: str = "",
    overlay: bool = False,
    options: EventOptions | None = None,
) -> Path:
    """Write the report of one video.

    Parameters
    ----------
    table : Path
        CSV or Parquet of `glee analyze`, or CSV of OpenFace.
    out : Path
        The HTML file.
    video : Path or None
        What is played, linked by its path relative to `out`.
    source : str
        Where the Action Units are from; "" for what the table's columns tell.
    overlay : bool
        `video` is the overlay of `glee analyze`, whose frames are all of the same length.
    options : EventOptions or None
        How curves become events; None for the defaults of `glee events`.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    DataError
        Where the table cannot be read or has no Action Units.
    OutputError
        Where the file cannot be written.
    """
    faces = read_au_table(table)
    axis = TimeAxis.of(faces[0].times)
    chosen = options or EventOptions()
    drawn = [_face(face, axis, chosen) for face in faces]
    page = _template().render(
        beginning=Markup(BEGINNING),
        version=__version__,
        name=_shown(table.stem),
        media=None if video is None else {"url": _relative(video, out), "name": _shown(video.name)},
        source=source or _source_of(faces),
        frames=len(axis.times),
        length=f"{axis.seconds:.1f} s"
        if axis.seconds < 60
        else clock(axis.seconds)[:-4] + " minutes",
        step=axis.seconds / MOST_STEPS if len(axis.steps) < len(axis.times) else 0,
        estimated=any(curve.std is not None for face in faces for curve in face.curves.values()),
        hidden_below=HIDDEN_BELOW,
        scales=_scales(faces),
        options=chosen,
        thresholds=chosen.thresholds(_kind(faces)),
        ticks=_ticks(axis),
        faces=drawn,
        data=_data(faces[0], axis, drawn, overlay),
    )
    write_whole(out, page.encode("utf-8", "replace"))
    return out


def clock(seconds: float) -> str:
    """Say a time as minutes and seconds, with hours where there are any."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{rest // 1000:02}.{rest % 1000:03}"


def _face(face: FaceCurves, axis: TimeAxis, options: EventOptions) -> dict[str, Any]:
    """What the template needs of a face."""
    whole = {tier: curve for tier, curve in face.curves.items() if " " not in tier}
    one = FaceCurves(face.face, face.frames, face.times, face.valid, whole)
    events = find_events(one, options)
    lost = _stretches(axis, ~face.valid, "face not found")
    rows = [
        _row(tier, curve, axis, [event for event in events if event.tier == tier], options, lost)
        for tier, curve in whole.items()
    ]
    listed = sorted(
        [*lost, *(stretch for row in rows for stretch in row["hidden"])],
        key=lambda stretch: stretch.start,
    )
    return {
        "number": face.face,
        "valid": int(face.valid.sum()),
        "rows": [row for row in rows if row["present"]],
        "quiet": [row for row in rows if not row["present"]],
        "events": [_event(event, face) for event in sorted(events, key=lambda e: e.onset)],
        "lost": lost,
        "stretches": [_listed(stretch) for stretch in listed[:_MOST_LISTED]],
        "unlisted": max(len(listed) - _MOST_LISTED, 0),
    }


def _row(
    tier: str,
    curve: Curve,
    axis: TimeAxis,
    events: Sequence[Event],
    options: EventOptions,
    lost: Sequence[Stretch],
) -> dict[str, Any]:
    """What the template needs of a curve."""
    number = int(tier.removeprefix("AU"))
    top = MAXIMUM_INTENSITY if curve.kind == INTENSITY else 1
    threshold = options.thresholds(curve.kind)[0]
    if curve.std is not None and number in AUS:
        threshold = float(au_figures().present[AUS.index(number)])
    hidden = []
    if curve.visible is not None:
        hidden = _stretches(axis, curve.visible < HIDDEN_BELOW, f"{tier} hidden")
    highest = _by_step(np.fmax, curve.values, axis)
    std = np.zeros(0) if curve.std is None else _by_step(np.fmax, curve.std, axis)
    return {
        "tier": tier,
        "name": NAMES.get(number, "").capitalize(),
        "kind": curve.kind,
        "top": top,
        "threshold": threshold,
        "threshold_y": round(_HEIGHT * (1 - threshold / top), 1),
        "line": _line(curve.values, axis, top),
        "band": "" if curve.std is None else _band(curve.values, curve.std, axis, top),
        "hidden": hidden,
        "hidden_places": [axis.place(one.start, one.end) for one in hidden],
        "lost_places": [axis.place(one.start, one.end) for one in lost],
        "bars": [
            (
                axis.place(event.onset, event.offset),
                Markup(f"left:{100 * axis.share(_middle(axis, event.apex)):.4g}%"),
            )
            for event in events
        ],
        "count": len(events),
        "peak": max((event.peak for event in events), default=0.0),
        "present": bool(events) or bool(np.nanmax(curve.values, initial=-1) >= threshold),
        "values": _tenths(highest, curve.kind),
        "deviations": _tenths(std, curve.kind),
    }


def _stretches(axis: TimeAxis, there: npt.NDArray[np.bool_], what: str) -> list[Stretch]:
    """Runs of frames; on long clips those that no eye could tell apart are one."""
    least = axis.seconds / MOST_STEPS if len(axis.steps) < len(axis.times) else 0.0
    found: list[Stretch] = []
    for first, last in runs(there):
        start, end = float(axis.times[first]), float(axis.ends[last])
        if found and start - found[-1].end < least:
            found[-1] = Stretch(what, found[-1].start, end, found[-1].first)
        else:
            found.append(Stretch(what, start, end, first))
    return found


def _by_step(kind: np.ufunc, values: Floats, axis: TimeAxis) -> Floats:
    """fmin or fmax of the known values of each step; NaN where none is."""
    return np.asarray(kind.reduceat(values, axis.steps))


def _line(values: Floats, axis: TimeAxis, top: float) -> str:
    """The path of a curve: from the lowest to the highest value of each step, broken at gaps."""
    low, high = (_by_step(kind, values, axis) for kind in (np.fmin, np.fmax))
    x, (y_low, y_high) = _across(axis), (_up(low, top), _up(high, top))
    parts = []
    for first, last in runs(np.isfinite(low)):
        parts.append(f"M{x[first]} {y_low[first]}")
        for step in range(first, last + 1):
            parts.append("" if step == first else f"L{x[step]} {y_low[step]}")
            parts.append(f"V{y_high[step]}" if y_high[step] != y_low[step] else "")
        # A step between two gaps is a dot: a line of no length with round ends.
        parts.append("h.1" if first == last else "")
    return "".join(parts)


def _band(values: Floats, std: Floats, axis: TimeAxis, top: float) -> str:
    """The area from one standard deviation below the curve to one above."""
    low = _up(np.maximum(_by_step(np.fmin, values - std, axis), 0), top)
    high = _up(np.minimum(_by_step(np.fmax, values + std, axis), top), top)
    known = np.isfinite(_by_step(np.fmax, values + std, axis))
    x = _across(axis)
    parts = []
    for first, last in runs(known):
        there = [f"{x[step]} {high[step]}" for step in range(first, last + 1)]
        back = [f"{x[step]} {low[step]}" for step in range(last, first - 1, -1)]
        parts.append(f"M{'L'.join(there + back)}z")
    return "".join(parts)


def _across(axis: TimeAxis) -> list[str]:
    return [f"{x:.4g}" if x < 1000 else f"{x:.0f}" for x in _WIDTH * axis.middles()]  # noqa: PLR2004


def _up(values: Floats, top: float) -> list[int]:
    """Values as heights; what is not known has none and is not drawn."""
    heights = np.round(_HEIGHT * (1 - np.nan_to_num(values) / top)).astype(int)
    return [int(height) for height in heights]


def _tenths(values: Floats, kind: str) -> list[int | None]:
    """Values to be said at the cursor: tenths of intensities, hundredths of others, as integers."""
    factor = 10 if kind == INTENSITY else 100
    return [None if np.isnan(value) else round(float(value) * factor) for value in values]


def _event(event: Event, face: FaceCurves) -> dict[str, Any]:
    places = np.searchsorted(
        face.frames, (event.onset_frame, event.apex_frame, event.offset_frame)
    ).tolist()
    letter = ""
    if event.kind == INTENSITY:
        letter = "ABCDE"[min(max(round(event.peak), 1), MAXIMUM_INTENSITY) - 1]
    return {
        "tier": event.tier,
        "times": [clock(time) for time in (event.onset, event.apex, event.offset)],
        "places": places,
        "seconds": f"{event.offset - event.onset:.2f}",
        "peak": f"{event.peak:.1f} {letter}" if letter else f"{event.peak:.2f}",
        "cut": {"": "", "both": "start and end"}.get(event.cut, event.cut),
        "name": NAMES.get(int(event.tier.removeprefix("AU")), "").capitalize(),
        "seen": "" if np.isnan(event.seen) else f"{100 * event.seen:.0f} %",
        "hidden": event.hidden,
    }


def _listed(stretch: Stretch) -> dict[str, Any]:
    return {
        "what": stretch.what,
        "start": clock(stretch.start),
        "end": clock(stretch.end),
        "place": stretch.first,
    }


def _middle(axis: TimeAxis, time: float) -> float:
    """The middle of the frame that begins at a time."""
    place = int(np.searchsorted(axis.times, time))
    return float(axis.times[place] + axis.ends[place]) / 2


def _ticks(axis: TimeAxis) -> list[tuple[Markup, str, str]]:
    """Places and labels of the time axis, and which of them would stand out at an end."""
    start, end = float(axis.times[0]), float(axis.ends[-1])
    steps = [tick for tick in nice_ticks(start, end, 8) if start - 1e-9 <= tick <= end + 1e-9]
    whole = all(float(tick).is_integer() for tick in steps)
    return [
        (
            Markup(f"left:{100 * axis.share(tick):.4g}%"),
            clock(tick)[:-4] if whole else clock(tick)[:-2],
            "first" if axis.share(tick) < _EDGE else "last" if axis.share(tick) > 1 - _EDGE else "",
        )
        for tick in steps
    ]


def _data(
    face: FaceCurves, axis: TimeAxis, faces: Sequence[dict[str, Any]], overlay: bool
) -> dict[str, Any]:
    """What the page's script reads; the times in thousandths of a second where they vary."""
    count = len(axis.times)
    even = axis.times[0] + np.arange(count) * axis.seconds / count
    regular = bool(np.abs(axis.times - even).max() < 0.002)  # noqa: PLR2004
    contiguous = bool((np.diff(face.frames) == 1).all())
    return {
        "count": count,
        "start": float(axis.times[0]),
        "seconds": axis.seconds,
        "times": None if regular else np.round(axis.times * 1000).astype(int).tolist(),
        "frame": int(face.frames[0]) if contiguous else None,
        "overlay": overlay,
        "steps": None if len(axis.steps) == count else axis.steps.tolist(),
        "rows": [
            [row["values"], row["deviations"], 10 if row["kind"] == INTENSITY else 100]
            for one in faces
            for row in (*one["rows"], *one["quiet"])
        ],
        "events": sorted(
            ([*event["places"], event["tier"], event["peak"]] for event in _all_events(faces)),
            key=lambda event: event[0],
        ),
    }


def _all_events(faces: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for face in faces:
        yield from face["events"]


def _kind(faces: Sequence[FaceCurves]) -> str:
    kinds = {curve.kind for face in faces for curve in face.curves.values()}
    return INTENSITY if INTENSITY in kinds else PROBABILITY


def _scales(faces: Sequence[FaceCurves]) -> str:
    """The scales of the curves, for the legend."""
    scales = {INTENSITY: "intensity, 0 to 5", PROBABILITY: "probability, 0 to 1"}
    kinds = {curve.kind for face in faces for curve in face.curves.values()}
    return " or ".join(scales.get(kind, "presence, 0 or 1") for kind in sorted(kinds))


def _source_of(faces: Sequence[FaceCurves]) -> str:
    if any(curve.std is not None for face in faces for curve in face.curves.values()):
        return SOURCE
    return (
        "probabilities of a trained run" if _kind(faces) == PROBABILITY else "as the table has them"
    )


def _relative(video: Path, out: Path) -> str:
    """The path from the page to the video, as a URL; names may hold any byte but 0 and /."""
    try:
        path = os.path.relpath(video.absolute(), out.absolute().parent)
    except ValueError:  # another drive of Windows
        return video.absolute().as_uri()
    return quote(os.fsencode(Path(path).as_posix()), safe="/")


def _shown(name: str) -> str:
    """A name as text, also where its bytes are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("glee.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["digest"] = _digest
    return environment.get_template(TEMPLATE)


def _digest(script: str) -> str:
    """By which the page's policy knows the one script that may run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
