"""Tables in which people's coding is kept: BORIS's exports, ELAN's, and plain ones."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
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
_CODER = ("coder", "annotator", "rater")
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
    rows = _rows(path)
    clips: dict[tuple[str, str], Raw] = {}
    open_ends: dict[tuple[str, ...], tuple[int, str]] = {}
    for number, row in rows:
        clip, media = _cell(row, _CLIP), _cell(row, _MEDIA)
        raw = clips.setdefault((clip, media), Raw([name for name in (clip, stem(media)) if name]))
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
            raw.marks[f"{tier} (a point, which has no length)"] = []
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


def _rows(path: Path) -> list[tuple[int, Row]]:
    """Number and cells by column of each row below the line that names the columns."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text("latin-1")
    lines = text.splitlines()
    for number, line in enumerate(lines[:_MOST_PREAMBLE]):
        for separator in "\t,;":
            cells = next(csv.reader([line], delimiter=separator), [])
            names = [_column(cell) for cell in cells]
            known = {name for name, _ in names}
            if known & set(_UNIT) and known & {"time", *_START}:
                table = csv.reader(lines[number + 1 :], delimiter=separator)
                return [
                    (number + 1 + table.line_num, _row(names, cells))
                    for cells in _whole_rows(path, table)
                    if any(cell.strip() for cell in cells)
                ]
    raise DataError(
        f"{path}: has no columns 'au', 'onset' and 'offset', nor BORIS's 'Behavior' and 'Time'; "
        "give a coding in one of these forms"
    )


def _whole_rows(path: Path, table: Iterable[list[str]]) -> Iterable[list[str]]:
    try:
        yield from table
    except csv.Error as error:
        raise DataError(f"{path}: is no table ({error}); save it again") from None


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
        if thousandths and re.fullmatch(r"[\d.]+", text):
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
