"""Tables in which people's coding is kept: BORIS's exports, ELAN's, and plain ones."""

from __future__ import annotations

import csv
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from ...errors import DataError
from .human_coding import Mark, Raw, stem, unit_name

# Columns by their names without units, lower case; the first that is there counts.
_UNIT = ("au", "action unit", "behavior", "behaviour", "tier", "label", "code")
_START = ("onset", "start", "begin", "begin time", "start time")
_END = ("offset", "stop", "end", "end time", "stop time")
_KIND = ("behavior type", "behaviour type", "status", "type")
_CLIP = ("clip", "observation id", "observation")
_MEDIA = ("media file name", "media file", "media file path", "media", "video", "file")
_FRAME = ("frame", "timestamp", "time")
# What tables of curves have and codings do not.
_OF_CURVES = {"valid", "success", "confidence"}
_NOT_CODED = ("", "nan", "na", "-1", "9", "999", "?")
_CODER = ("coder", "annotator", "rater")
# What `glee events` writes into BORIS's comments.
_PEAK = re.compile(r"peak [\d.]+ \(\w+\) at [\d.]+ s")
_MOST_PREAMBLE = 60
_WITH_UNIT = re.compile(r"(.*\S)[ ([-]+(msec|milliseconds|ms|ss\.msec|seconds|sec|s)[\])]?")

Row = Mapping[str, str]


def read_tables(path: Path) -> list[Raw]:
    """Read the clips of a table, one a clip that it names.

    Raises
    ------
    DataError
        Where it lacks columns, or a row's times make no sense.
    """
    rows, frames = _rows(path)
    return _read_frames(path, rows) if frames else _read_events(path, rows)


def _read_events(path: Path, rows: Iterable[tuple[int, Row]]) -> list[Raw]:
    clips: dict[tuple[str, str], Raw] = {}
    open_ends: dict[tuple[str, ...], tuple[int, str]] = {}
    for number, row in rows:
        clip, media = _cell(row, _CLIP), _cell(row, _MEDIA)
        raw = clips.setdefault((clip, media), Raw([name for name in (clip, stem(media)) if name]))
        raw.of_glee |= "apex frame" in row or bool(_PEAK.fullmatch(row.get("comment", "")))
        tier = _tier(path, row)
        if not tier:
            continue
        kind, where = _cell(row, _KIND).upper(), f"{path}: line {number}"
        value = _value(row)
        if "time" not in row or _cell(row, _START):
            raw.marks[tier].append(_whole(where, row, value))
            continue
        time, key = _time(where, row["time"]), (clip, media, tier)
        if kind == "START":
            if key in open_ends:
                raise DataError(f"{where}: {tier} starts again before it stops; mend the coding")
            open_ends[key] = (time, value)
        elif kind == "STOP":
            if key not in open_ends:
                raise DataError(f"{where}: {tier} stops without a start; mend the coding")
            start, given = open_ends.pop(key)
            raw.marks[tier].append(_mark(where, start, time, given or value))
        elif kind == "POINT":
            # It has no length, so no frame and no event; it is named among what is left out.
            raw.marks.setdefault(f"points of {tier}", [])
        else:
            raise DataError(f"{where}: is of the kind {kind!r}; START, STOP and POINT are known")
    for _, _, tier in open_ends:
        raise DataError(f"{path}: {tier} starts and never stops; mend the coding")
    _share_units(list(clips.values()))
    return list(clips.values())


def _share_units(raws: list[Raw]) -> None:
    """Who codes several clips in one table looks for the same units in all of them."""
    every = {name for raw in raws for name in raw.marks if not re.search(r"@|face", name)}
    for name in sorted(every):
        for raw in raws:
            raw.marks.setdefault(name, [])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return path.read_text("latin-1").splitlines()


def _rows(path: Path) -> tuple[list[tuple[int, Row]], bool]:
    """Number and cells by column of each row below the line that names the columns.

    Also whether a row is a frame and not an event.
    """
    lines = _lines(path)
    for number, line in enumerate(lines[:_MOST_PREAMBLE]):
        for separator in "\t,;":
            cells = next(_cells(path, [line], separator), [])
            names = [_column(cell) for cell in cells]
            known = {name for name, _ in names}
            events = known & set(_UNIT) and known & {"time", *_START}
            frames = known & set(_FRAME) and any(unit_name(name) for name in known)
            if not events and not frames:
                continue
            if not events and known & _OF_CURVES:
                raise DataError(f"{path}: holds curves and no person's coding; give it as TABLE")
            table = _cells(path, lines[number + 1 :], separator)
            below = enumerate(table, number + 2)
            return [(at, _row(names, row)) for at, row in below if any(row)], not events
    raise DataError(
        f"{path}: has no columns 'au', 'onset' and 'offset', nor BORIS's 'Behavior' and 'Time', "
        "nor 'frame' and 'AU12'; give a coding in one of these forms"
    )


def _cells(path: Path, lines: list[str], separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=separator)
    except csv.Error as error:
        raise DataError(f"{path}: is no table ({error}); save it again") from None


def _read_frames(path: Path, rows: Iterable[tuple[int, Row]]) -> list[Raw]:
    """A row a frame, a column an Action Unit; equal values of frames that follow are one mark.

    Frames that have no row, an empty cell or one of NaN, -1, 9 and 999 were not coded.
    """
    clips: dict[tuple[str, str], list[tuple[int, Row]]] = defaultdict(list)
    by_frame = False
    for number, row in rows:
        where, text = f"{path}: line {number}", _cell(row, _FRAME)
        by_frame = bool(row.get("frame"))
        place = _frame(where, text) if by_frame else _time(where, text)
        clips[_cell(row, _CLIP), _cell(row, _MEDIA)].append((place, row))
    found = []
    for (clip, media), listed in clips.items():
        listed.sort(key=lambda item: item[0])
        places = [place for place, _ in listed]
        gaps = [after - place for place, after in pairwise(places)]
        if 0 in gaps:
            raise DataError(f"{path}: has a frame twice; name clips in a column 'clip'")
        step = max(round(statistics.median(gaps)), 1) if gaps else 1
        raw = Raw([name for name in (clip, stem(media)) if name], sampled=True, by_frame=by_frame)
        for name in listed[0][1]:
            if unit_name(name) is not None:
                values = [(place, row.get(name, "")) for place, row in listed]
                raw.marks[name.upper()] = _sampled_marks(values, step)
        found.append(raw)
    return found


def _sampled_marks(values: list[tuple[int, str]], step: int) -> list[Mark]:
    """Marks from the first of equal values to the place after the last."""
    marks: list[Mark] = []
    # Beyond the last there is nothing.
    following = [place for place, _ in values[1:]] + [values[-1][0] + 2 * step]
    for (place, value), after in zip(values, following, strict=True):
        if value.lower() in _NOT_CODED:
            continue
        end = after if after - place <= 1.5 * step else place + step
        if marks and marks[-1].end == place and marks[-1].value == value:
            marks[-1] = Mark(marks[-1].start, end, value)
        else:
            marks.append(Mark(place, end, value))
    return marks


def _frame(where: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}(\.0*)?", text):
        raise DataError(f"{where}: {text[:40]!r} is no number of a frame")
    return int(float(text))


def _column(name: str) -> tuple[str, bool]:
    """A column's name without its unit, and whether that is the millisecond."""
    plain = " ".join(name.replace("_", " ").strip().lower().split())
    match = _WITH_UNIT.fullmatch(plain)
    if match is None:
        return plain, False
    return match[1].rstrip(" -(["), match[2] in ("msec", "milliseconds", "ms")


def _row(names: list[tuple[str, bool]], cells: list[str]) -> Row:
    row: dict[str, str] = {}
    for (name, thousandths), cell in zip(names, cells, strict=False):
        text = cell.strip()
        if thousandths and re.fullmatch(r"\d+(\.\d+)?", text):
            text = repr(float(text) / 1000)
        if not row.get(name):
            row[name] = text
    return row


def _cell(row: Row, names: Iterable[str]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _tier(path: Path, row: Row) -> str:
    """The tier's name with face, subject and coder, as names of tiers in ELAN have them."""
    name = _cell(row, _UNIT)
    if re.fullmatch(r"0*\d{1,2}", name):
        name = f"AU{name}"
    if not name or unit_name(name) is None:
        return name
    subject, face = row.get("subject", ""), row.get("face", "")
    if re.fullmatch(r"face \d+", subject):
        name += f" {subject}"
    elif face.isdigit():
        name += f" face {face}"
    elif subject and subject.lower() not in ("no focal subject", "none"):
        name += f"@{subject}"
    coder = _cell(row, _CODER)
    return name + (f"@{coder}" if coder and "@" not in name else "")


def _value(row: Row) -> str:
    modifiers = (cell for name, cell in row.items() if name.startswith("modifier"))
    values = (row.get(name, "") for name in ("intensity", "value", "annotation", "level"))
    found = next((text for text in (*values, *modifiers) if text and text.lower() != "none"), "")
    # BORIS writes a modifier with the name of its set, or several with bars between them.
    return re.split(r"[|:]", found)[-1].strip()


def _whole(where: str, row: Row, value: str) -> Mark:
    end = _cell(row, _END)
    if not end:
        raise DataError(f"{where}: has no end; give onset and offset in seconds")
    return _mark(where, _time(where, _cell(row, _START)), _time(where, end), value)


def _mark(where: str, start: int, end: int, value: str) -> Mark:
    if end < start:
        raise DataError(f"{where}: ends at {end / 1000:g} s, before it begins; mend the coding")
    return Mark(start, end, value)


def _time(where: str, text: str) -> int:
    """Milliseconds of seconds or of hours:minutes:seconds."""
    try:
        parts = [float(part.replace(",", ".")) for part in text.split(":")]
        seconds = sum(part * 60.0**i for i, part in enumerate(reversed(parts)))
        if len(parts) <= 3 and math.isfinite(seconds):
            return round(1000 * seconds)
    except (ValueError, OverflowError):
        pass
    raise DataError(f"{where}: {text[:40]!r} is no time; give seconds or hours:minutes:seconds")
