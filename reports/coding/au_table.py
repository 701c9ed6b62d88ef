"""Curves of Action Units from a table: glee's own, OpenFace's, or a trained run's probabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import DataError, near_path

Floats = npt.NDArray[np.float64]

INTENSITY, PROBABILITY, PRESENCE = "intensity", "probability", "presence"
# AU12_r and AU12_left_r are intensities, AU12 a run's probability, AU28_c a presence alone.
_COLUMN = re.compile(r"AU(\d{1,2})(?:_(left|right))?(_r|_c)?")
_KINDS = {"_r": INTENSITY, None: PROBABILITY, "_c": PRESENCE}
_BETTER = (INTENSITY, PROBABILITY, PRESENCE)


@dataclass(frozen=True)
class Curve:
    """An Action Unit over the clip.

    Attributes
    ----------
    kind : str
        "intensity" (0 to 5), "probability" (0 to 1) or "presence" (0 or 1).
    values : (n,) float64
        One a frame of the clip; NaN where it is not known.
    std : (n,) float64 or None
        Its standard deviation, where the table has one.
    visible : (n,) float64 or None
        How far the region is seen, 0 to 1, where the table says so; NaN where nobody asked.
    """

    kind: str
    values: Floats
    std: Floats | None = None
    visible: Floats | None = None


@dataclass(frozen=True)
class FaceCurves:
    """A face's curves on the clip's frames.

    Attributes
    ----------
    face : int
        Its number in the table.
    frames : (n,) int64
        Numbers of the clip's frames from 0, ascending.
    times : (n,) float64, seconds
    valid : (n,) bool
        False where the face was not found or its fit not trusted.
    curves : dict of str to Curve
        By tier: "AU12", and "AU12 left" and "AU12 right" where the table has sides.
    presence : dict of str to (n,) float64
        By tier, 0 or 1 and NaN where not known, where the table has a column `AU12_c`.
    """

    face: int
    frames: npt.NDArray[np.int64]
    times: Floats
    valid: npt.NDArray[np.bool_]
    curves: dict[str, Curve]
    presence: dict[str, Floats] = field(default_factory=dict)


def read_au_table(path: Path) -> list[FaceCurves]:
    """Read the faces of a table.

    OpenFace's frames begin at 1 and are counted from 0 here; its `success` stands for `valid`.

    Parameters
    ----------
    path : Path
        CSV or Parquet of `glee analyze`, or CSV of OpenFace's FeatureExtraction.

    Returns
    -------
    list of FaceCurves
        By face number. All have the frames of the whole clip.

    Raises
    ------
    DataError
        Where it cannot be read, or has no frames, times or Action Units.
    """
    table = _read(path)
    for name in ("frame", "timestamp"):
        if name not in table:
            raise DataError(
                f"{path}: has no column {name!r}; give a table of `glee analyze`, or of OpenFace's "
                "FeatureExtraction"
            )
    columns = _au_columns(table)
    if not columns:
        raise DataError(
            f"{path}: has no Action Units (AU1 ..., AU01_r ...); analyze the video again, "
            "without --aus none"
        )
    openface = "success" in table and "valid" not in table
    try:
        numbers = table[["frame", "timestamp"]].to_numpy(np.float64)
        frames = numbers[:, 0].astype(np.int64) - openface
        flags = table["success" if openface else "valid"] if openface or "valid" in table else 1
        valid = np.broadcast_to(np.asarray(flags, np.float64) == 1, frames.shape)
        faces = np.zeros(len(table), np.int64)
        if "face_id" in table:
            faces = np.maximum(table["face_id"].to_numpy(np.int64), -1)
        wanted = {name for name, _ in columns.values()}
        wanted |= {name for _, name in _presences(table, columns)}
        wanted |= {
            name for tier in columns for name in _beside(table, tier, columns[tier][0]) if name
        }
        values = {name: table[name].to_numpy(np.float64) for name in wanted}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}; a column of numbers holds something else") from None
    clip, first = np.unique(frames, return_index=True)
    times = numbers[first, 1]
    if len(clip) == 0 or not np.isfinite(numbers).all() or (np.diff(times) <= 0).any():
        raise DataError(
            f"{path}: has no frames, or times that do not grow from frame to frame; analyze again"
        )
    result = []
    for face in sorted(set(faces[faces >= 0].tolist())) or [0]:
        rows = faces == face
        place = np.searchsorted(clip, frames[rows])
        if len(set(place.tolist())) < len(place):
            raise DataError(f"{path}: has a frame twice for face {face}; analyze the video again")
        seen = np.zeros(len(clip), bool)
        seen[place] = valid[rows]
        of_face = {
            name: _on_clip(len(clip), place, np.where(valid, column, np.nan)[rows])
            for name, column in values.items()
        }
        curves = {
            tier: Curve(kind, of_face[name], *map(of_face.get, _beside(table, tier, name)))
            for tier, (name, kind) in columns.items()
        }
        presence = {tier: of_face[name] for tier, name in _presences(table, columns)}
        result.append(FaceCurves(face, clip, times, seen, curves, presence))
    return result


def _on_clip(count: int, place: npt.NDArray[np.int64], values: Floats) -> Floats:
    curve = np.full(count, np.nan)
    curve[place] = values
    return curve


def _presences(
    table: pd.DataFrame, columns: dict[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Tiers that have a column of presences, and its name."""
    for tier, (name, _) in columns.items():
        presence = f"{name.removesuffix('_r').removesuffix('_c')}_c"
        if presence in table:
            yield tier, presence


def _beside(table: pd.DataFrame, tier: str, name: str) -> tuple[str, str]:
    """The columns of standard deviation and visibility beside an intensity; "" where none is."""
    unit = name.partition("_")[0]
    std, visible = (
        column if (column := f"{unit}_{what}") in table else "" for what in ("std", "visible")
    )
    # The deviation is that of the stronger side, not of each.
    return "" if " " in tier else std, visible


def _read(path: Path) -> pd.DataFrame:
    if path.is_dir():
        tables = sorted(path.glob("*.parquet")) or sorted(path.glob("*.openface.csv"))
        such_as = f", such as {tables[0]}" if tables else ""
        raise DataError(f"{path}: is a folder; give one table of `glee analyze`{such_as}")
    if not path.is_file():
        raise DataError(f"{path}: no such file; {near_path(path)}give a table of `glee analyze`")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, skipinitialspace=True, comment="#", low_memory=False)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: is no table ({reason}); give a .csv or .parquet") from None
    return table.rename(columns=lambda name: str(name).strip())


def _au_columns(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The best column of each tier and its kind, AUs in ascending order, empty ones left out."""
    best: dict[str, tuple[str, str]] = {}
    for name in table.columns:
        match = _COLUMN.fullmatch(name)
        if match is None or not table[name].notna().any():
            continue
        tier = f"AU{int(match[1])}" + (f" {match[2]}" if match[2] else "")
        kind = _KINDS[match[3]]
        if tier not in best or _BETTER.index(kind) < _BETTER.index(best[tier][1]):
            best[tier] = (name, kind)
    return dict(sorted(best.items(), key=lambda item: tier_order(item[0])))


def tier_order(tier: str) -> tuple[int, str]:
    """By which tiers are sorted: the AU's number, then the side."""
    number, _, side = tier.removeprefix("AU").partition(" ")
    return int(number), side
