"""Agreement as text, plain data and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import UsageError
from ...whole_files import write_whole
from .agreement import Agreement
from .agreement_measures import LEVEL, MEASURES, Measure

_COUNTS = ("frames", "coded", "shown")
_SHOWN = {
    "kappa": "kappa",
    "auc": "AUC",
    "f1": "F1",
    "icc21": "ICC(2,1)",
    "icc31": "ICC(3,1)",
    "event_f1": "event F1",
}


def as_data(found: Agreement) -> dict[str, Any]:
    """All figures as plain data; None where the frames define no value.

    Parameters
    ----------
    found : Agreement
    """
    options = found.options
    return {
        "glee": __version__,
        "tolerance_frames": options.tolerance,
        "thresholds": {
            kind: dict(zip(("on", "off"), options.events.thresholds(kind), strict=True))
            for kind in sorted({of.curve.kind for clip in found.clips for of in clip.units})
        },
        "coded_frames": found.coded_frames,
        "lost_frames": found.lost_frames,
        "intervals": _intervals(found),
        "clips": [
            {
                "coding": str(clip.coding.path),
                "table": str(clip.table),
                "frames": len(clip.times),
                "lost_frames": int(clip.lost.sum()),
                "tiers": {of.tier: of.unit for of in clip.units},
                "unchanged_tiers": list(clip.coding.unchanged),
                "other_tiers": list(clip.coding.others),
            }
            for clip in found.clips
        ],
        "units": {unit: _unit(found, unit) for unit in found.units},
        "mean": {name: _measure(found.measures["mean"][name]) for name in MEASURES},
        "notes": list(found.notes),
    }


def _intervals(found: Agreement) -> dict[str, Any] | None:
    if len(found.clips) < 2:
        return None
    options = found.options
    return {"over": "clips", "level": LEVEL, "draws": options.draws, "seed": options.seed}


def _unit(found: Agreement, unit: str) -> dict[str, Any]:
    onset, offset = found.shifts[unit]
    return {
        **found.counts[unit],
        "onset_shift_frames": _plain(onset),
        "offset_shift_frames": _plain(offset),
        **{name: _measure(found.measures[unit][name]) for name in MEASURES},
    }


def _measure(measure: Measure) -> dict[str, float | None]:
    return {name: _plain(getattr(measure, name)) for name in ("value", "low", "high")}


def _plain(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if math.isnan(value) else float(value)


def as_text(found: Agreement) -> str:
    """A line for each Action Unit and their mean, then what was left out."""
    several = len(found.clips) > 1
    rows = [["", *_COUNTS, *_SHOWN.values(), "events"]]
    for unit in found.units:
        counts = found.counts[unit]
        matched, coded, shown = (counts[f"{kind}_events"] for kind in ("matched", "coded", "shown"))
        events = f"{matched} of {coded}, {shown}"
        rows.append(
            [unit, *(f"{counts[name]:,}" for name in _COUNTS), *_cells(found, unit), events]
        )
    if len(found.units) > 1:
        rows.append(["mean", "", "", "", *_cells(found, "mean"), ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lost, coded = found.lost_frames, found.coded_frames
    lines.append(f"{lost:,} of {coded:,} coded frames have no face and are left out")
    if tolerance := found.options.tolerance:
        frames = "1 frame" if tolerance == 1 else f"{tolerance} frames"
        lines.append(
            f"tolerance: {frames}, which on either side of where an annotation begins or ends are "
            "left out, and which events that match may lie apart"
        )
    lines.append("events: matched of coded, in the table")
    lines.append(
        f"in brackets: {LEVEL:.0%} intervals over {len(found.clips)} clips, by "
        f"{found.options.draws:,} draws"
        if several
        else "one clip: no intervals, which would be over clips"
    )
    return "\n".join(lines)


def _cells(found: Agreement, unit: str) -> list[str]:
    return [_cell(found.measures[unit][name]) for name in _SHOWN]


def _cell(measure: Measure) -> str:
    if math.isnan(measure.value):
        return "-"
    if math.isnan(measure.low):
        return f"{measure.value:.2f}"
    return f"{measure.value:.2f} [{measure.low:.2f} {measure.high:.2f}]"


def check_output(path: Path) -> None:
    """UsageError where a file's name does not say its form."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"{path}: give a name that ends in .csv or .json")


def write_agreement(path: Path, found: Agreement) -> None:
    """Write all figures, as .json or as .csv with a row for each Action Unit and their mean.

    Raises
    ------
    UsageError
        For another suffix.
    OutputError
        Where it cannot be written.
    """
    check_output(path)
    data = as_data(found)
    if path.suffix.lower() == ".json":
        write_whole(path, json.dumps(data, indent=1).encode())
        return
    rows = [_row(unit, data["units"][unit]) for unit in found.units]
    rows.append({**dict.fromkeys(rows[0], ""), **_row("mean", data["mean"])})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def _row(unit: str, figures: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"au": unit}
    for name, figure in figures.items():
        if isinstance(figure, dict):
            row |= {_column(name, part): _number(figure[part]) for part in ("value", "low", "high")}
        else:
            row[name] = _number(figure)
    return row


def _column(name: str, part: str) -> str:
    return name if part == "value" else f"{name}_{part}"


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def tier_notes(found: Agreement, most: int = 6) -> Sequence[str]:
    """What of the files was no person's coding of an Action Unit, a line a file and kind."""
    notes = []
    for clip in found.clips:
        for names, why in (
            (clip.coding.unchanged, "glee's own, unchanged"),
            (clip.coding.others, "of no Action Unit"),
        ):
            if names:
                more = f" and {len(names) - most} more" if len(names) > most else ""
                notes.append(
                    f"{clip.coding.path}: left out, {why}: {', '.join(names[:most])}{more}"
                )
    return notes
