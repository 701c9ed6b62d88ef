"""Files of events: a plain CSV, BORIS's tabular events, and ELAN's annotation document.

CSV and TSV have a file FILE.json beside them that states the parameters; ELAN's document has them
among its properties. A digest of each tier stands there, or in ELAN's ANNOTATOR, by which `glee
agree` knows the tiers that nobody changed: they are glee's and no person's coding.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import mimetypes
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import UsageError
from ...whole_files import replaced_when_whole, temporary_beside, write_whole
from .au_table import FaceCurves, tier_order
from .events import Event, EventOptions, frame_ends

# The columns of BORIS's export "tabular events" that an event has something for, in its order.
BORIS_COLUMNS = (
    *("Observation id", "Media file name", "Subject", "Behavior", "Behavioral category"),
    *("Modifier #1", "Behavior type", "Time", "Image index", "Comment"),
)
_FACS = "ABCDE"
# Who coded a tier that glee wrote, before its digest.
ANNOTATOR = "glee"
TIERS = "tiers"
# By which a table is known that nobody changed.
TABLE_DIGEST = "sha256"


@dataclass(frozen=True)
class EventSet:
    """The events of a clip.

    Attributes
    ----------
    name : str
        Of the clip.
    faces : sequence of FaceCurves
    events : sequence of Event
    options : EventOptions
    video : Path or None
        Where it lies, for files that link it.
    """

    name: str
    faces: Sequence[FaceCurves]
    events: Sequence[Event]
    options: EventOptions
    video: Path | None = None

    def parameters(self) -> dict[str, Any]:
        """All parameters, as plain data."""
        kinds = {curve.kind for face in self.faces for curve in face.curves.values()}
        return {
            "glee": __version__,
            "clip": self.name,
            "thresholds": {
                kind: dict(zip(("on", "off"), self.options.thresholds(kind), strict=True))
                for kind in sorted(kinds)
            },
            "smoothing_seconds": self.options.smoothing,
            "shortest_seconds": self.options.shortest,
            "gap_seconds": self.options.gap,
            "lost_frames": "bridged up to gap_seconds, else they end an event",
        }

    def tier(self, event: Event) -> str:
        """The tier's name, with the face's number where there are several."""
        return event.tier + (f" face {event.face}" if len(self.faces) > 1 else "")


def write_events(path: Path, content: EventSet, form: str | None = None) -> None:
    """Write events.

    Parameters
    ----------
    path : Path
    content : EventSet
    form : str, optional
        "csv", "boris" or "elan"; by default as the suffix says, .csv or .eaf.

    Raises
    ------
    UsageError
        Where suffix and form do not fit.
    OutputError
        Where it cannot be written.
    """
    chosen = check_form(path, form)
    if chosen == "elan":
        _write_elan(path, content)
        return
    rows = _boris_rows(content) if chosen == "boris" else _plain_rows(content)
    parameters = {**content.parameters(), TIERS: _digests(content, letters=chosen == "boris")}
    text = io.StringIO()
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    content_bytes = text.getvalue().encode()
    parameters[TABLE_DIGEST] = hashlib.sha256(content_bytes).hexdigest()
    write_whole(path, content_bytes)
    write_whole(beside_table(path), json.dumps(parameters, indent=1).encode())


def beside_table(path: Path) -> Path:
    """The file beside a table of events that states its parameters."""
    return path.with_name(f"{path.name}.json")


def tier_digest(marks: Iterable[tuple[int, int, str]]) -> str:
    """What tells whether a tier was changed.

    Parameters
    ----------
    marks : iterable of (int, int, str)
        Start and end in milliseconds, and the value, of each annotation, in any order.
    """
    lines = "\n".join(f"{start} {end} {value}" for start, end, value in sorted(marks))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _digests(content: EventSet, *, letters: bool) -> dict[str, str]:
    """Of each tier of a table, which keeps whole milliseconds."""
    tiers: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    decimals = 3 if letters else 6
    for event in content.events:
        # As the file's text has them.
        onset, offset = (
            milliseconds(float(f"{time:.{decimals}f}")) for time in (event.onset, event.offset)
        )
        # The plain form has the face in a column of its own, always.
        tier = content.tier(event) if letters else f"{event.tier} face {event.face}"
        tiers[tier].append((onset, offset, facs_letter(event) if letters else ""))
    return {tier: tier_digest(marks) for tier, marks in tiers.items()}


def check_form(path: Path, form: str | None) -> str:
    """The form of a file by its suffix, or as it was asked for; UsageError where they differ."""
    suffix = path.suffix.lower()
    suffixes = {"csv": (".csv", ".tsv"), "boris": (".csv", ".tsv"), "elan": (".eaf",)}
    if form is None:
        form = next((name for name, ends in suffixes.items() if suffix in ends), None)
        if form is None:
            raise UsageError(f"{path}: give a name that ends in .csv, .tsv or .eaf")
    if suffix not in suffixes[form]:
        raise UsageError(f"{path}: the form {form} is written to {' or '.join(suffixes[form])}")
    return form


def _plain_rows(content: EventSet) -> list[Sequence[Any]]:
    names = [field.name for field in fields(Event)]
    rows: list[Sequence[Any]] = [["clip", *("au" if name == "tier" else name for name in names)]]
    for event in content.events:
        cells = [_cell(cell) for cell in astuple(event)]
        rows.append([content.name, *cells])
    return rows


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6f}"


def _boris_rows(content: EventSet) -> list[Sequence[Any]]:
    """A row START and a row STOP of each event, by time."""
    media = str(content.video or "")
    rows = []
    for event in content.events:
        subject = f"face {event.face}" if len(content.faces) > 1 else ""
        head = (content.name, media, subject, event.tier, "Action Units", facs_letter(event))
        peak = f"peak {event.peak:.2f} ({event.kind}) at {event.apex:.3f} s"
        peak += ", mostly hidden" if event.hidden else ""
        rows.append((*head, "START", f"{event.onset:.3f}", event.onset_frame, peak))
        rows.append((*head, "STOP", f"{event.offset:.3f}", event.offset_frame + 1, ""))
    # A state that ends where the next of its kind begins has to stop first.
    rows.sort(key=lambda row: (float(row[7]), row[6] == "START"))
    return [BORIS_COLUMNS, *rows]


def facs_letter(event: Event) -> str:
    """FACS's letter of the peak's intensity; "" where the curve is no intensity."""
    return _FACS[min(max(round(event.peak), 1), 5) - 1] if event.kind == "intensity" else ""


def _write_elan(path: Path, content: EventSet) -> None:
    """One tier a curve, empty ones too, and below each a tier with the frame of the apex.

    ELAN wants time slots in the order of time; each annotation gets its own two, so that moving
    one in ELAN moves no other.
    """
    from pympi.Elan import Eaf

    document = Eaf(author=f"glee {__version__}")
    schema = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
    document.adocument |= {"VERSION": "3.0", "FORMAT": "3.0"}
    document.adocument["xsi:noNamespaceSchemaLocation"] = schema
    document.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    document.add_linguistic_type("apex", "Included_In")
    document.properties = [
        (f"glee {key}", json.dumps(value)) for key, value in content.parameters().items()
    ]
    if content.video is not None:
        kind = mimetypes.guess_type(content.video.name)[0] or "unknown"
        where = Path(os.path.relpath(content.video.resolve(), path.resolve().parent)).as_posix()
        relative = where if where.startswith("..") else f"./{where}"
        document.add_linked_file(content.video.resolve().as_uri(), relative, kind)
    document.remove_tier("default")
    marks = _annotations(content)
    several = len(content.faces) > 1
    for face in content.faces:
        for name in sorted(face.curves, key=tier_order):
            tier = f"{name} face {face.face}" if several else name
            person = f"face {face.face}"
            digest = tier_digest((a, b, value) for a, b, of, value in marks if of == tier)
            document.add_tier(tier, part=person, ann=f"{ANNOTATOR} {digest}")
            document.add_tier(f"{tier} apex", "apex", tier, part=person, ann=ANNOTATOR)
    _add_annotations(document, marks)
    with replaced_when_whole(path, temporary_beside(path)) as temporary:
        document.to_file(str(temporary))


def _annotations(content: EventSet) -> list[tuple[int, int, str, str]]:
    """Start and end in milliseconds, tier and value of all annotations, by time."""
    ends = {}
    for face in content.faces:
        of_frame = zip(face.frames.tolist(), frame_ends(face.times).tolist(), strict=True)
        ends[face.face] = dict(of_frame)
    spans: list[tuple[int, int, str, str]] = []
    for event in content.events:
        tier, letter = content.tier(event), facs_letter(event)
        onset, offset = milliseconds(event.onset), milliseconds(event.offset)
        spans.append((onset, max(offset, onset + 1), tier, letter))
        apex = milliseconds(event.apex)
        end = max(milliseconds(ends[event.face][event.apex_frame]), apex + 1)
        spans.append((apex, end, f"{tier} apex", f"{event.peak:.2f}"))
    return sorted(spans)


def _add_annotations(document: Any, spans: Sequence[tuple[int, int, str, str]]) -> None:
    bounds = sorted(
        (time, number, side)
        for number, span in enumerate(spans)
        for side, time in enumerate(span[:2])
    )
    slots = {(number, side): document.generate_ts_id(time) for time, number, side in bounds}
    for number, (_, _, tier, value) in enumerate(spans):
        name = document.generate_annotation_id()
        document.annotations[name] = tier
        document.tiers[tier][0][name] = (slots[number, 0], slots[number, 1], value, None)
    used = len(spans)
    document.properties.append(("lastUsedAnnotationId", used))


def milliseconds(seconds: float) -> int:
    """ELAN's times are whole milliseconds."""
    return round(1000 * seconds)
