"""What became of a clip: as a line, as plain data, and from the record of a former run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...summary import NO_FACE_ADVICE, faceless


@dataclass(frozen=True)
class ClipAnalysis:
    """What became of a clip.

    Attributes
    ----------
    name : str
        The clip's, as its files have it.
    frames, faces : int
        How many were read, and how many faces were followed.
    reasons : mapping
        Reason -> rows, "ok" for the valid ones.
    paths : tuple of Path
        The files that were written, or kept.
    seconds : float
        What it took.
    first_row : float
        Seconds from the start to the first row on disk.
    source : str
        Codec and container of a video, and what is unusual in it.
    fps : float
        Frames a second of the video, or that were given for images; 0 where it is not known.
    error : str
        Why there is nothing, one line; "" where all went well.
    action_units : mapping or None
        Where the Action Units are from: `source`, and the people's baselines or the run's name.
    remarks : tuple of str
        What a reader of the tables must know, a line each.
    kept : bool
        The files were whole and as they would be made now.
    """

    name: str
    frames: int = 0
    faces: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()
    seconds: float = 0.0
    first_row: float = float("nan")
    source: str = ""
    fps: float = 0.0
    error: str = ""
    action_units: Mapping[str, Any] | None = None
    remarks: tuple[str, ...] = ()
    kept: bool = False

    def line(self) -> str:
        """Say it as text.

        Returns
        -------
        str
            What the command prints.
        """
        if self.error:
            said = Path(self.error.partition(": ")[0]).name == Path(self.name).name
            return self.error if said else f"{self.name}: {self.error}"
        rows = sum(self.reasons.values())
        bad = ", ".join(f"{n} {r}" for r, n in sorted(self.reasons.items()) if r != "ok")
        told = "kept, made before with the same options" if self.kept else f"{self.seconds:.1f} s"
        rate = f", {self.fps:.5g} frames/s" if self.source and self.fps > 0 else ""
        return (
            f"{self.name}: {self.frames} frames, {rows} rows, {self.reasons.get('ok', 0)} valid"
            + (f" ({bad})" if bad else "")
            + (f"; {self.source}{rate}" if self.source else "")
            + f"; {told} -> {', '.join(str(path) for path in self.paths)}"
        )

    def notes(self) -> list[str]:
        """Say what a reader must know, and what to try where no face was found at all.

        Returns
        -------
        list of str
            Lines.
        """
        bad = {reason: count for reason, count in self.reasons.items() if reason != "ok"}
        empty = not self.error and faceless(self.reasons.get("ok", 0), bad)
        told = [NO_FACE_ADVICE, *self.remarks] if empty else list(self.remarks)
        return [f"note: {self.name}: {line}" for line in told]


def as_json(done: ClipAnalysis) -> dict[str, Any]:
    """Give a clip's analysis as plain data.

    Parameters
    ----------
    done : ClipAnalysis
        The analysis.

    Returns
    -------
    dict
        Of types that JSON has.
    """
    first_row = None if math.isnan(done.first_row) else round(done.first_row, 3)
    return {
        **asdict(done),
        "paths": [str(path) for path in done.paths],
        "seconds": round(done.seconds, 3),
        "first_row": first_row,
    }


def kept_analysis(name: str, out: Path, found: Mapping[str, Any]) -> ClipAnalysis:
    """Tell a clip's analysis again, of files that are kept.

    Parameters
    ----------
    name : str
        The clip's.
    out : Path
        Folder of the files.
    found : mapping
        Their record.

    Returns
    -------
    ClipAnalysis
        Without times.
    """
    reasons = found["reasons"] if isinstance(found.get("reasons"), dict) else {}
    remarks = found["remarks"] if isinstance(found.get("remarks"), list) else []
    units = found.get("action_units")
    return ClipAnalysis(
        name=name,
        frames=_count(found.get("frames")),
        faces=_count(found.get("faces")),
        reasons={str(reason): _count(rows) for reason, rows in reasons.items()},
        paths=tuple(out / str(file) for file in found["files"]),
        source=str(found.get("described") or ""),
        fps=_rate(found.get("fps")),
        action_units=units if isinstance(units, dict) else None,
        remarks=tuple(map(str, remarks)),
        kept=True,
    )


def _rate(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
