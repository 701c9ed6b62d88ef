"""Onset, apex, offset and peak of each Action Unit, by hysteresis on smoothed curves.

An event is a run of frames whose smoothed curve is at or above the off threshold and somewhere at
or above the on threshold. All lengths are in seconds of the table's own times, so that they mean
the same at every and at a variable frame rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from .au_table import PROBABILITY, Curve, FaceCurves

Floats = npt.NDArray[np.float64]
# On and off, of intensities (FACS's A is 1), and of probabilities and presences.
INTENSITY_THRESHOLDS = (1.0, 0.5)
PROBABILITY_THRESHOLDS = (0.5, 0.35)
# A region that is seen less than this counts as hidden.
HIDDEN_BELOW = 0.5


@dataclass(frozen=True)
class EventOptions:
    """How curves become events.

    Attributes
    ----------
    on, off : float, optional
        The curve has to reach `on`, and lasts while it is at or above `off`; None for 1 and 0.5 of
        an intensity, 0.5 and 0.35 of a probability or a presence.
    smoothing : float, seconds
        Width of the window of the weighted mean, whose weights fall as a squared cosine to 0 at
        its ends; 0 for none.
    shortest : float, seconds
        Shorter events are left out.
    gap : float, seconds
        Longest gap that is bridged, whether the curve is below `off` in it or the face is lost.
    """

    on: float | None = None
    off: float | None = None
    smoothing: float = 0.2
    shortest: float = 0.1
    gap: float = 0.1

    def __post_init__(self) -> None:
        lengths = (self.smoothing, self.shortest, self.gap)
        if not all(np.isfinite(length) and length >= 0 for length in lengths):
            raise UsageError("--smoothing, --shortest and --gap are seconds, 0 or more")
        for kind in ("intensity", PROBABILITY):
            on, off = self.thresholds(kind)
            if not 0 < off <= on:
                raise UsageError(f"--off {off:g} has to be above 0 and at most --on {on:g}")

    def thresholds(self, kind: str) -> tuple[float, float]:
        """On and off of a kind of curve."""
        on, off = INTENSITY_THRESHOLDS if kind == "intensity" else PROBABILITY_THRESHOLDS
        if self.on is not None and self.off is None:
            off = min(off, self.on)
        if self.off is not None and self.on is None:
            on = max(on, self.off)
        return (self.on if self.on is not None else on, self.off if self.off is not None else off)


@dataclass(frozen=True)
class Event:
    """One movement of an Action Unit.

    Attributes
    ----------
    face : int
    tier : str, such as "AU12" or "AU12 left"
    kind : str, of the curve
    onset_frame, apex_frame, offset_frame : int
        First frame, frame of the smoothed curve's largest value, last frame.
    onset, apex, offset : float, seconds
        Times of the first frame, of the apex, and of the frame after the last.
    peak : float, the smoothed curve at the apex
    lost_frames : int, frames within the event in which the face was lost
    cut : str
        "start", "end" or "both" where the clip or the face's sight ends there, else "".
    seen : float
        How far the Action Unit's part of the face is seen, 0 to 1, in the mean over the event;
        NaN where the table does not say. Below `HIDDEN_BELOW` the event says little.
    """

    face: int
    tier: str
    kind: str
    onset_frame: int
    apex_frame: int
    offset_frame: int
    onset: float
    apex: float
    offset: float
    peak: float
    lost_frames: int
    cut: str
    seen: float = math.nan

    @property
    def hidden(self) -> bool:
        """Whether the part of the face is hidden for most of the event."""
        return self.seen < HIDDEN_BELOW


def frame_ends(times: Floats) -> Floats:
    """When each frame ends: where the next begins; the last is as long as the median frame."""
    length = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    return np.append(times[1:], times[-1] + length)


def smoothed(times: Floats, values: Floats, width: float) -> Floats:
    """The weighted mean of the known values within a window; NaN stays NaN."""
    known = np.isfinite(values)
    if width <= 0:
        return values.copy()
    at, of = times[known], values[known]
    total, weight = of.copy(), np.ones(len(of))
    for step in range(1, len(of)):
        # Pairs of values that are `step` apart, until no pair lies within the half window.
        distance = at[step:] - at[:-step]
        near = distance < width / 2
        if not near.any():
            break
        share = np.where(near, np.cos(np.pi * distance / width) ** 2, 0.0)
        total[step:] += share * of[:-step]
        total[:-step] += share * of[step:]
        weight[step:] += share
        weight[:-step] += share
    result = np.full(len(values), np.nan)
    result[known] = total / weight
    return result


def find_events(face: FaceCurves, options: EventOptions | None = None) -> list[Event]:
    """Find the events of all curves of a face.

    Parameters
    ----------
    face : FaceCurves
    options : EventOptions, optional

    Returns
    -------
    list of Event
        By tier, then by time.
    """
    chosen = options or EventOptions()
    return [
        event
        for tier, curve in face.curves.items()
        for event in _events_of(face, tier, curve, chosen)
    ]


def _events_of(face: FaceCurves, tier: str, known: Curve, options: EventOptions) -> list[Event]:
    on, off = options.thresholds(known.kind)
    curve = smoothed(face.times, known.values, options.smoothing)
    ends = frame_ends(face.times)
    events = []
    for first, last in _bridged(runs(curve >= off), face.times, ends, options.gap):
        part = curve[first : last + 1]
        apex = first + int(np.nanargmax(part))
        # Times carry rounding of their last decimal.
        if curve[apex] < on or ends[last] - face.times[first] < options.shortest - 1e-6:
            continue
        start = first == 0 or not np.isfinite(curve[first - 1])
        end = last + 1 == len(curve) or not np.isfinite(curve[last + 1])
        cut = "both" if start and end else "start" if start else "end" if end else ""
        events.append(
            Event(
                face.face,
                tier,
                known.kind,
                int(face.frames[first]),
                int(face.frames[apex]),
                int(face.frames[last]),
                float(face.times[first]),
                float(face.times[apex]),
                float(ends[last]),
                float(curve[apex]),
                int(np.isnan(part).sum()),
                cut,
                _seen(known, first, last),
            )
        )
    return events


def _seen(curve: Curve, first: int, last: int) -> float:
    """The mean of what is known of the visibility, in frames first to last; NaN where nothing."""
    if curve.visible is None:
        return math.nan
    part = curve.visible[first : last + 1]
    known = part[np.isfinite(part)]
    return float(known.mean()) if len(known) else math.nan


def runs(there: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _bridged(
    found: Sequence[tuple[int, int]], times: Floats, ends: Floats, gap: float
) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in found:
        if joined and times[first] - ends[joined[-1][1]] <= gap + 1e-6:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
