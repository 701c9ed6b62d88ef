"""Files of people's coding, ELAN's, BORIS's and plain tables, each beside its clip's table."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from ...errors import DataError, near_path
from .coding_tables import read_tables
from .event_files import ANNOTATOR, TABLE_DIGEST, TIERS, beside_table
from .human_coding import Coding, Mark, Raw, coding_of, stem

SUFFIXES = (".eaf", ".csv", ".tsv")
# Of a clip's table, by preference: glee's own, then OpenFace's.
_TABLES = (".parquet", ".csv", ".openface.csv")


def read_codings(path: Path) -> list[Coding]:
    """Read what people coded.

    Parameters
    ----------
    path : Path
        ELAN's .eaf; a .csv or .tsv of BORIS's tabular or aggregated events, or with the columns
        `au`, `onset`, `offset` (seconds), and `intensity`, `clip`, `face`, `coder` where there are
        such.

    Returns
    -------
    list of Coding
        One a clip: a table may have several.

    Raises
    ------
    DataError
        Where it cannot be read.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; {near_path(path)}give a coding: {', '.join(SUFFIXES)}"
        )
    if path.suffix.lower() == ".eaf":
        raws = [_read_elan(path)]
    elif path.suffix.lower() in SUFFIXES:
        raws = read_tables(path)
        digests = _digests_beside(path)
        if not digests and any(raw.of_glee for raw in raws):
            raise DataError(
                f"{path}: was written by `glee events`, and {path.name}.json is missing, which "
                "tells what a person changed; put it beside, or code in a table of your own"
            )
        for raw in raws:
            raw.digests.update(digests)
    else:
        raise DataError(f"{path}: is no coding; give one of {', '.join(SUFFIXES)}")
    return [coding_of(path, raw) for raw in raws]


def is_glees_own(path: Path) -> bool:
    """Tell whether a file holds nothing but what `glee events` wrote, so that it can be replaced.

    Parameters
    ----------
    path : Path
        Of the file, which is there.

    Returns
    -------
    bool
        False where a person added or changed a tier, and where the file is something else.
    """
    beside = beside_table(path)
    try:
        if path.suffix.lower() == ".eaf":
            tiers = ET.parse(path).getroot().iter("TIER")
            if not all(tier.get("ANNOTATOR", "").split()[:1] == [ANNOTATOR] for tier in tiers):
                return False
        elif TABLE_DIGEST in (stated := json.loads(beside.read_text("utf-8"))):
            return bool(stated[TABLE_DIGEST] == hashlib.sha256(path.read_bytes()).hexdigest())
        codings = read_codings(path)
    except (OSError, ValueError, TypeError, ET.ParseError, RecursionError, DataError):
        return False
    return not any(coding.tiers or coding.others for coding in codings)


def pair_codings(coding: Path, table: Path) -> tuple[list[tuple[Coding, Path]], list[str]]:
    """Find the table of each clip that is coded.

    Parameters
    ----------
    coding : Path
        A file, or a folder of such: of its .eaf files, or where it has none, its .csv and .tsv.
    table : Path
        A table, or a folder of such. Of a folder, the table counts that is called as the coding's
        observation, its video or its file; a single table is that of a single coding whatever the
        names.

    Returns
    -------
    list of (Coding, Path), list of str
        The pairs, and a note on each coding that has no table.

    Raises
    ------
    DataError
        Where nothing can be paired, or a clip is coded twice.
    """
    codings = [one for path in _coding_files(coding) for one in read_codings(path)]
    if not table.is_dir():
        fitting = [one for one in codings if table.stem in one.names]
        if len(codings) == 1 or len(fitting) == 1:
            return [((fitting or codings)[0], table)], []
        clips = ", ".join(one.names[0] for one in codings[:6])
        raise DataError(
            f"{coding}: codes {len(codings)} clips ({clips}), of which {len(fitting)} are called "
            f"{table.stem}; give the folder of their tables"
        )
    pairs: dict[Path, Coding] = {}
    notes = []
    for one in codings:
        found = _table_of(one, table)
        if found is None:
            names = " or ".join(one.names)
            notes.append(f"{one.path}: is left out: {table} has no table called {names}")
        elif found in pairs:
            raise DataError(
                f"{found}: is coded twice, by {pairs[found].path} and {one.path}; keep one of them"
            )
        else:
            pairs[found] = one
    if not pairs:
        raise DataError(notes[0] if notes else f"{coding}: holds no coding ({', '.join(SUFFIXES)})")
    return [(one, path) for path, one in pairs.items()], notes


def _coding_files(coding: Path) -> list[Path]:
    if not coding.is_dir():
        return [coding]
    files = sorted(path for path in coding.iterdir() if not path.name.startswith("."))
    for suffixes in (SUFFIXES[:1], SUFFIXES[1:]):
        if found := [path for path in files if path.suffix.lower() in suffixes]:
            return found
    raise DataError(f"{coding}: holds no coding ({', '.join(SUFFIXES)})")


def _table_of(coding: Coding, folder: Path) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for name in coding.names for suffix in _TABLES)
    return next((path for path in candidates if path.is_file() and path != coding.path), None)


def _digests_beside(path: Path) -> dict[str, str]:
    """The digests in the file that `glee events` writes beside a table, or none."""
    beside = beside_table(path)
    try:
        found = json.loads(beside.read_text("utf-8"))[TIERS]
        return {str(name): str(digest) for name, digest in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _read_elan(path: Path) -> Raw:
    """All tiers with annotations of their own times.

    It is read here and not by pympi, which refuses files that lack what only writers need.
    """
    try:
        root = ET.parse(path).getroot()
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ValueError(f"its root is {root.tag!r}")
        times = {
            slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"])
            for slot in root.iter("TIME_SLOT")
            if "TIME_VALUE" in slot.attrib
        }
        raw = Raw([stem(url) for url in _media(root)])
        for tier in root.iter("TIER"):
            own = list(tier.iter("ALIGNABLE_ANNOTATION"))
            # A tier of notes on other annotations has no times, and codes nothing.
            if not own and next(tier.iter("REF_ANNOTATION"), None) is not None:
                continue
            name = tier.attrib["TIER_ID"]
            raw.annotators[name] = tier.get("ANNOTATOR", "").strip()
            raw.marks[name] = list(_marks(path, name, own, times))
    except (ET.ParseError, ValueError, LookupError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: is no ELAN document ({reason}); save it in ELAN again") from None
    return raw


def _media(root: ET.Element) -> Iterable[str]:
    for media in root.iter("MEDIA_DESCRIPTOR"):
        yield media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL") or ""


def _marks(
    path: Path, tier: str, annotations: Iterable[ET.Element], times: dict[str, int]
) -> Iterable[Mark]:
    for annotation in annotations:
        slots = [annotation.attrib[f"TIME_SLOT_REF{i}"] for i in (1, 2)]
        if not all(slot in times for slot in slots):
            raise DataError(
                f"{path}: tier {tier!r} has annotations without times, as subdivisions have; copy "
                "it to a tier of its own in ELAN"
            )
        start, end = (times[slot] for slot in slots)
        yield Mark(start, end, (annotation.findtext("ANNOTATION_VALUE") or "").strip())
