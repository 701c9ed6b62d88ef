"""People's coding held against a table's curves, by frame and by event, clip by clip.

A frame is coded where an annotation has start <= its time < end, in whole milliseconds; the table
shows an Action Unit where its column AU.._c is 1, or its curve reaches the threshold. An event of
the person is a run of coded frames; one of the table is what `find_events` finds. Two events match
where they overlap, or lie no more than the tolerance apart: one to one, as many pairs as can be,
then those that overlap longest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ...errors import DataError, UsageError
from .agreement_measures import DRAWS, ClipSums, Measure, measure_clips, rating_sums
from .au_table import INTENSITY, PRESENCE, Curve, FaceCurves, read_au_table, tier_order
from .events import EventOptions, find_events, runs
from .human_coding import Coding, Tier

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class AgreeOptions:
    """How a coding is held against a table.

    Attributes
    ----------
    tolerance : int, frames
        Events that lie no more apart match; frames so near to where an annotation begins or ends
        are left out of the measures by frame.
    face : int, optional
        Of the table, for tiers that do not say it.
    coder : str, optional
        Whose tiers count.
    events : EventOptions
        How the table's curves become events; its `on`, where given, also says by frame what is
        shown.
    draws : int
        Of clips, for the intervals.
    seed : int
        Of the draws.
    """

    tolerance: int = 0
    face: int | None = None
    coder: str | None = None
    events: EventOptions = field(default_factory=EventOptions)
    draws: int = DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise UsageError("--tolerance is a number of frames, 0 or more")


@dataclass(frozen=True)
class UnitOfClip:
    """An Action Unit of a face in a clip, as the person and the table have it.

    Attributes
    ----------
    unit : str
    tier : str, the person's
    face : int
    curve : Curve
    counted : (n,) bool
        Frames that are measured: with a face, and not within the tolerance.
    coded, shown : (n,) bool
        By the person, by the table.
    intensity : (n,) float64 or None
        The person's; None where annotations have none.
    graded : bool
        Whether the person's values tell strengths apart.
    coded_events, shown_events : list of (int, int)
        First and last frame, counted in the clip.
    pairs : list of (int, int)
        Matched events, by number.
    """

    unit: str
    tier: str
    face: int
    curve: Curve
    counted: Bools
    coded: Bools
    shown: Bools
    intensity: Floats | None
    graded: bool
    coded_events: Spans
    shown_events: Spans
    pairs: Spans


@dataclass(frozen=True)
class ClipAgreement:
    """A clip's coding beside its table.

    Attributes
    ----------
    coding : Coding
    table : Path
    times : (n,) float64, seconds
    lost : (n,) bool
        Frames in which no coded face is usable.
    units : list of UnitOfClip
    notes : list of str
        What was left out, and why.
    """

    coding: Coding
    table: Path
    times: Floats
    lost: Bools
    units: list[UnitOfClip]
    notes: list[str]


@dataclass(frozen=True)
class Agreement:
    """How far people and tables agree.

    Attributes
    ----------
    options : AgreeOptions
    clips : list of ClipAgreement
    units : tuple of str
        Action Units, by number.
    measures : dict of str to dict of str to Measure
        By unit, and "mean".
    counts : dict of str to dict of str to int
        By unit: clips, frames, coded, shown, coded_events, shown_events, matched_events.
    shifts : dict of str to (float, float)
        Median of the table's onsets and offsets less the person's, of matched events, in frames.
    notes : list of str
    """

    options: AgreeOptions
    clips: list[ClipAgreement]
    units: tuple[str, ...]
    measures: dict[str, dict[str, Measure]]
    counts: dict[str, dict[str, int]]
    shifts: dict[str, tuple[float, float]]
    notes: list[str]

    @property
    def coded_frames(self) -> int:
        """Frames of all clips that people coded."""
        return sum(len(clip.times) for clip in self.clips)

    @property
    def lost_frames(self) -> int:
        """Those among them without a usable face."""
        return sum(int(clip.lost.sum()) for clip in self.clips)


def agree(pairs: Sequence[tuple[Coding, Path]], options: AgreeOptions | None = None) -> Agreement:
    """Hold codings against tables.

    Parameters
    ----------
    pairs : sequence of (Coding, Path)
        Each coding with the table of its clip.
    options : AgreeOptions, optional

    Returns
    -------
    Agreement

    Raises
    ------
    DataError
        Where nothing is left that a person coded, or it is not clear whom a tier is of.
    """
    chosen = options or AgreeOptions()
    clips = [compare_clip(coding, table, chosen) for coding, table in pairs]
    notes = [note for clip in clips for note in clip.notes]
    clips = [clip for clip in clips if clip.units]
    if not clips:
        raise DataError(_nothing_left([coding for coding, _ in pairs], notes))
    units = tuple(sorted({of.unit for clip in clips for of in clip.units}, key=tier_order))
    by_unit = {
        unit: [[u for u in clip.units if u.unit == unit] for clip in clips] for unit in units
    }
    sums = [_sums(by_unit[unit]) for unit in units]
    tables, mean = measure_clips(sums, draws=chosen.draws, seed=chosen.seed)
    return Agreement(
        chosen,
        clips,
        units,
        {**dict(zip(units, tables, strict=True)), "mean": mean},
        {unit: _counts(by_unit[unit]) for unit in units},
        {unit: _shift(by_unit[unit]) for unit in units},
        notes,
    )


def _nothing_left(codings: Sequence[Coding], notes: Sequence[str]) -> str:
    where = (
        codings[0].path if len(codings) == 1 else f"{codings[0].path} and {len(codings) - 1} more"
    )
    if any(coding.tiers for coding in codings):
        return f"{where}: nothing can be compared: {notes[0] if notes else 'no tier fits'}"
    if any(coding.unchanged for coding in codings):
        return (
            f"{where}: no tier that a person coded: all are glee's own, unchanged; change a tier, "
            "or make one of your own, such as AU12@me"
        )
    return f"{where}: no tier of an Action Unit; call tiers AU1, AU12 left, AU12@me"


def compare_clip(coding: Coding, table: Path, options: AgreeOptions) -> ClipAgreement:
    """Hold the tiers of a clip against its table.

    Raises
    ------
    DataError
        Where it is not clear whom a tier is of, or two people coded the same.
    """
    faces = {face.face: face for face in map(_one_eye_unit, read_au_table(table))}
    notes = []
    units = []
    for (number, unit), tier in _chosen_tiers(coding, table, list(faces), options).items():
        face = faces[number]
        if unit not in face.curves:
            notes.append(f"{coding.path}: {tier.name} is left out: {table} has no {unit}")
            continue
        units.append(_compare(face, unit, tier, options))
    units.sort(key=lambda of: (of.face, tier_order(of.unit)))
    seen = [faces[number].valid for number in sorted({of.face for of in units})]
    times = next(iter(faces.values())).times
    lost = ~np.logical_or.reduce(seen) if seen else np.zeros(len(times), bool)
    timed = [tier for tier in coding.tiers if not tier.by_frame]
    end = max((mark.end for tier in timed for mark in tier.marks), default=0)
    if end > 1000 * times[-1] + 1000:
        notes.append(
            f"{coding.path}: is coded up to {end / 1000:.1f} s, {table} ends at {times[-1]:.1f} s; "
            "is it the table of this video?"
        )
    return ClipAgreement(coding, table, times, lost, units, notes)


def _one_eye_unit(face: FaceCurves) -> FaceCurves:
    """AU43 by its other name, where the table has no AU45 beside it."""
    if "AU43" not in face.curves or "AU45" in face.curves:
        return face
    presence = {"AU45" if k == "AU43" else k: of for k, of in face.presence.items()}
    curves = {"AU45" if k == "AU43" else k: of for k, of in face.curves.items()}
    return replace(face, curves=curves, presence=presence)


def _chosen_tiers(
    coding: Coding, table: Path, faces: list[int], options: AgreeOptions
) -> dict[tuple[int, str], Tier]:
    """The one tier of each face and unit."""
    tiers = [tier for tier in coding.tiers if options.coder in (None, tier.coder)]
    if coding.tiers and not tiers:
        known = ", ".join(sorted({tier.coder or "(nobody named)" for tier in coding.tiers}))
        raise DataError(f"{coding.path}: {options.coder!r} coded nothing; there are {known}")
    found: dict[tuple[int, str], list[Tier]] = defaultdict(list)
    for tier in tiers:
        face = options.face if tier.face is None else tier.face
        if face is None and len(faces) > 1:
            named = ", ".join(map(str, faces))
            raise DataError(
                f"{coding.path}: tier {tier.name!r} does not say whose it is, {table} has faces "
                f"{named}; give --face, or call it '{tier.unit} face {faces[0]}'"
            )
        face = faces[0] if face is None else face
        if face not in faces:
            raise DataError(f"{coding.path}: tier {tier.name!r}: {table} has no face {face}")
        found[face, tier.unit].append(tier)
    for several in found.values():
        if len(several) > 1:
            names = " and ".join(repr(tier.name) for tier in several)
            coders = sorted({tier.coder for tier in several if tier.coder})
            remedy = f"give --coder: {', '.join(coders)}" if len(coders) > 1 else "keep one of them"
            raise DataError(f"{coding.path}: {names} are of the same Action Unit; {remedy}")
    return {key: several[0] for key, several in found.items()}


def _compare(face: FaceCurves, unit: str, tier: Tier, options: AgreeOptions) -> UnitOfClip:
    curve = face.curves[unit]
    now = _places(face, tier)
    coded, intensity = np.zeros(len(now), bool), np.zeros(len(now))
    known = np.full(len(now), not tier.sampled)
    rated = True
    for mark in tier.marks:
        strength = mark.intensity
        known |= (mark.start <= now) & (now < mark.end)
        if strength == 0:
            continue
        rated = rated and strength is not None
        inside = (mark.start <= now) & (now < mark.end)
        coded |= inside
        intensity[inside] = np.maximum(intensity[inside], strength or 0.0)
    seen = face.valid & np.isfinite(curve.values) & known
    near = np.zeros(len(now), bool)
    for turn in np.flatnonzero(np.diff(coded.astype(np.int8))) + 1:
        near[max(turn - options.tolerance, 0) : turn + options.tolerance] = True
    alone = replace(face, curves={unit: curve})
    index = {int(frame): place for place, frame in enumerate(face.frames)}
    shown_events = [
        (index[event.onset_frame], index[event.offset_frame])
        for event in find_events(alone, options.events)
    ]
    coded_events = [(a, b) for a, b in runs(coded & known) if seen[a : b + 1].any()]
    return UnitOfClip(
        unit,
        tier.name,
        face.face,
        curve,
        seen & ~near,
        coded,
        _shown(face, unit, options),
        intensity if rated else None,
        any(mark.graded for mark in tier.marks),
        coded_events,
        shown_events,
        match_events(coded_events, shown_events, options.tolerance),
    )


def _places(face: FaceCurves, tier: Tier) -> npt.NDArray[np.int64]:
    """Each frame's place on the scale of the tier's marks: milliseconds, or its number."""
    if not tier.by_frame:
        return np.round(1000 * face.times).astype(np.int64)
    if not tier.marks:
        return face.frames
    ends = (min(mark.start for mark in tier.marks), max(mark.end for mark in tier.marks) - 1)
    # Who counts a clip's frames from 1 ends with their number.
    from_one = ends == (1, len(face.frames)) and face.frames[0] == 0
    return face.frames + 1 if from_one else face.frames


def _shown(face: FaceCurves, unit: str, options: AgreeOptions) -> Bools:
    if unit in face.presence and options.events.on is None:
        return np.asarray(face.presence[unit] >= 0.5)
    curve = face.curves[unit]
    return np.asarray(curve.values >= options.events.thresholds(curve.kind)[0])


def match_events(one: Spans, other: Spans, tolerance: int) -> Spans:
    """Pair events that overlap, or lie no more than `tolerance` frames apart.

    Parameters
    ----------
    one, other : list of (int, int)
        First and last frames.
    tolerance : int
        With 0, the two have a frame in common.

    Returns
    -------
    list of (int, int)
        Numbers of the paired events: as many pairs as can be, then the longest overlaps.
    """
    if not one or not other:
        return []
    a, b = np.array(one)[:, None], np.array(other)[None]
    overlap = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]) + 1 + tolerance
    allowed = overlap > 0
    # A pair more weighs more than all overlaps together.
    worth = np.where(allowed, overlap + 1.0 + overlap[allowed].sum(), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if allowed[row, column]
    ]


def _sums(clips: list[list[UnitOfClip]]) -> list[ClipSums]:
    every = [of for clip in clips for of in clip]
    rated = all(of.intensity is not None and of.curve.kind == INTENSITY for of in every)
    rated = rated and any(of.graded for of in every)
    return [_clip_sums(clip, rated=rated) for clip in clips]


def _clip_sums(faces: list[UnitOfClip], *, rated: bool) -> ClipSums:
    """What a clip adds, over its faces."""
    confusion, events, ratings = np.zeros(4), np.zeros(3), np.zeros(5)
    present, absent = [np.zeros(0)], [np.zeros(0)]
    for of in faces:
        coded, shown = of.coded[of.counted], of.shown[of.counted]
        values = of.curve.values[of.counted]
        parts = (coded & shown, ~coded & shown, coded & ~shown, ~coded & ~shown)
        confusion += [part.sum() for part in parts]
        events += [len(of.pairs), len(of.coded_events), len(of.shown_events)]
        if of.curve.kind != PRESENCE:
            present.append(values[coded])
            absent.append(values[~coded])
        if rated and of.intensity is not None:
            ratings += rating_sums(np.stack([of.intensity[of.counted], values], axis=1))
    return ClipSums(confusion, np.concatenate(present), np.concatenate(absent), ratings, events)


def _counts(clips: list[list[UnitOfClip]]) -> dict[str, int]:
    every = [of for clip in clips for of in clip]
    return {
        "clips": sum(bool(clip) for clip in clips),
        "frames": sum(int(of.counted.sum()) for of in every),
        "coded": sum(int((of.coded & of.counted).sum()) for of in every),
        "shown": sum(int((of.shown & of.counted).sum()) for of in every),
        "coded_events": sum(len(of.coded_events) for of in every),
        "shown_events": sum(len(of.shown_events) for of in every),
        "matched_events": sum(len(of.pairs) for of in every),
    }


def _shift(clips: list[list[UnitOfClip]]) -> tuple[float, float]:
    shifts = [
        np.subtract(of.shown_events[b], of.coded_events[a])
        for clip in clips
        for of in clip
        for a, b in of.pairs
    ]
    if not shifts:
        return float("nan"), float("nan")
    onset, offset = np.median(shifts, axis=0)
    return float(onset), float(offset)
