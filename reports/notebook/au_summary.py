"""How much Action Units move over a clip, or over the parts of it that a condition names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import DataError, UsageError
from ..coding.au_table import Curve, FaceCurves
from ..coding.events import find_events

Mask = npt.NDArray[np.bool_]
_NO_ROW = "no_face"


@dataclass(frozen=True, eq=False)
class FaceOfClip:
    """A face on all frames of a clip.

    Attributes
    ----------
    face : int
        Its number in the table; -1 where none was ever found.
    frames : (n,) int64
        The clip's frames.
    times : (n,) float64, seconds
    row : (n,) int64
        The face's own row of the table; -1 where it has none.
    shown : (n,) int64
        A row of that frame, the face's own where it has one.
    """

    face: int
    frames: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    row: npt.NDArray[np.int64]
    shown: npt.NDArray[np.int64]


def faces_of_clip(frames: pd.DataFrame, name: str) -> list[FaceOfClip]:
    """Lay the faces of a table on the frames of the whole clip.

    Parameters
    ----------
    frames : DataFrame
        As `Analysis.frames`.
    name : str
        The table's, for messages.

    Returns
    -------
    list of FaceOfClip
        By number.

    Raises
    ------
    DataError
        Where a face has a frame twice, or times do not grow.
    """
    numbers = frames["frame"].to_numpy(np.int64)
    face = frames["face_id"].to_numpy(np.int64)
    clip, first = np.unique(numbers, return_index=True)
    times = frames["timestamp"].to_numpy(np.float64)[first]
    if (np.diff(times) <= 0).any():
        raise DataError(f"{name}: times do not grow from frame to frame; analyze again")
    result = []
    for one in sorted(set(face[face >= 0].tolist())) or sorted(set(face.tolist())):
        own = np.flatnonzero(face == one)
        if len(set(numbers[own].tolist())) < len(own):
            raise DataError(f"{name}: has a frame twice for face {one}; analyze again")
        row = np.full(len(clip), -1, np.int64)
        row[np.searchsorted(clip, numbers[own])] = own
        result.append(FaceOfClip(one, clip, times, row, np.where(row >= 0, row, first)))
    return result


@dataclass(frozen=True, eq=False)
class AUValues:
    """What a table says of Action Units, row by row.

    Attributes
    ----------
    values : DataFrame
        Intensities or probabilities, columns AU01 and so on; may lack AUs of which only the
        presence is known.
    present : DataFrame
        1 and 0, NaN where not known.
    kind : str
        Of the values: "intensity" or "probability".
    frames : DataFrame
        As `Analysis.frames`.
    """

    values: pd.DataFrame
    present: pd.DataFrame
    kind: str
    frames: pd.DataFrame

    def apexes(self, face: FaceOfClip) -> dict[str, npt.NDArray[np.int64]]:
        """Find the events of a face, see `glee events`.

        Parameters
        ----------
        face : FaceOfClip
            The face.

        Returns
        -------
        dict of str to (k,) int64
            AU -> places of the events' apexes among the clip's frames.
        """
        has, own = face.row >= 0, face.row[face.row >= 0]
        valid = np.zeros(len(face.row), bool)
        valid[has] = self.frames["valid"].to_numpy(bool)[own]
        curves = {}
        for name in self.present.columns:
            there = name in self.values
            table, kind = (self.values, self.kind) if there else (self.present, "presence")
            curve = np.full(len(face.row), np.nan)
            curve[has] = table[name].to_numpy(np.float64)[own]
            curves[name] = Curve(kind, curve)
        events = find_events(FaceCurves(face.face, face.frames, face.times, valid, curves))
        frames: dict[str, list[int]] = {name: [] for name in curves}
        for event in events:
            frames[event.tier].append(event.apex_frame)
        return {name: np.searchsorted(face.frames, found) for name, found in frames.items()}


def summarise(units: AUValues, face: FaceOfClip, masks: Sequence[Mask]) -> list[pd.DataFrame]:
    """Sum up a face over parts of the clip.

    Parameters
    ----------
    units : AUValues
        Action Units of the table's rows.
    face : FaceOfClip
        The face.
    masks : sequence of (n,) bool
        The clip's frames of each part.

    Returns
    -------
    list of DataFrame
        One a part; see `Analysis.summary`.
    """
    apexes = units.apexes(face)
    names = pd.Index(list(units.present.columns), name="AU")
    tables = []
    for mask in masks:
        reasons = _reasons(units.frames, face, mask)
        shown = face.row[mask & (face.row >= 0)]
        values = units.values.iloc[shown].reindex(columns=names)
        table = pd.DataFrame(
            {
                "mean": values.mean(),
                "std": values.std(),
                "max": values.max(),
                "present": units.present.iloc[shown].mean(),
                "events": [int(mask[apexes[name]].sum()) for name in names],
                "frames": int(mask.sum()),
                "valid": reasons.pop("ok", 0),
            },
            index=names,
        )
        table["lost"] = table["frames"] - table["valid"]
        for reason, count in sorted(reasons.items()):
            table[f"lost_{reason}"] = count
        tables.append(table)
    return tables


def _reasons(frames: pd.DataFrame, face: FaceOfClip, mask: Mask) -> Counter[str]:
    """Why frames count or not; another face's row says nothing but that this face has none."""
    shown = face.shown[mask]
    own = (face.row[mask] >= 0) | (frames["face_id"].to_numpy()[shown] < 0)
    reasons = np.where(own, frames["reason"].to_numpy(object)[shown], _NO_ROW)
    valid = frames["valid"].to_numpy(bool)[shown] & own
    return Counter(np.where(valid, "ok", reasons).tolist())


def joined(
    parts: Iterator[tuple[tuple[Any, ...], pd.DataFrame]], levels: Sequence[str]
) -> pd.DataFrame:
    """Set summaries below each other, with what they are of in the index before the AU.

    Parameters
    ----------
    parts : iterator of (tuple, DataFrame)
        Labels, one a level, and the summary.
    levels : sequence of str
        Names of the levels.

    Returns
    -------
    DataFrame
        Index: the levels, then AU; `lost_` columns that a part lacks are 0 there.
    """
    tables = []
    for labels, part in parts:
        labelled = part.reset_index()
        for place, (level, label) in enumerate(zip(levels, labels, strict=True)):
            labelled.insert(place, level, [label] * len(labelled))
        tables.append(labelled)
    whole = pd.concat(tables, ignore_index=True)
    for name in whole.columns:
        if str(name).startswith("lost_"):
            whole[name] = whole[name].fillna(0).astype(np.int64)
    return whole.set_index([*levels, "AU"])


def parts_of_clip(
    condition: Any, frames: pd.DataFrame, column: Callable[[str], pd.Series]
) -> tuple[str, list[Any], Callable[[FaceOfClip], list[Mask]]]:
    """Name the parts of a clip that a condition tells apart.

    Parameters
    ----------
    condition : str, array, Series or mapping
        See `Analysis.by`.
    frames : DataFrame
        As `Analysis.frames`.
    column : callable
        Gives a column of the table by its name.

    Returns
    -------
    name, labels, masks : str, list, callable
        What the condition is called, a label a part, and the frames of each for a face.

    Raises
    ------
    UsageError
        Where it is none, or of another length.
    """
    if isinstance(condition, Mapping):
        spans = {label: _spans(label, given) for label, given in condition.items()}
        if not spans:
            raise UsageError("by: no condition is given; give name -> (start, end) in seconds")
        return "condition", list(spans), lambda face: [_within(face, s) for s in spans.values()]
    name = "condition"
    if isinstance(condition, str):
        name, condition = condition, column(condition)
    values = _of_rows(condition, frames)
    name = str(values.name) if values.name is not None else name
    codes = np.full(len(values), -1)
    labels: list[Any] = []
    for label, part in values.groupby(values, dropna=False, observed=True, sort=True):
        codes[part.index] = len(labels)
        labels.append(label)
    return name, labels, lambda face: [codes[face.shown] == i for i in range(len(labels))]


def _of_rows(condition: Any, frames: pd.DataFrame) -> pd.Series:
    """The condition of each row of the table, from one a row or one a frame of the clip."""
    values = condition if isinstance(condition, pd.Series) else None
    if values is None:
        if np.ndim(condition) != 1:
            raise UsageError(
                "by: give a column's name, one value a frame, a function of the table, or "
                "name -> (start, end) in seconds"
            )
        values = pd.Series(condition if hasattr(condition, "dtype") else list(condition))
    elif values.index.is_unique and frames.index.isin(values.index).all():
        values = values.reindex(frames.index)
    clip = np.unique(frames["frame"])
    if len(values) == len(frames):
        return values.reset_index(drop=True)
    if len(values) == len(clip):
        place = np.searchsorted(clip, frames["frame"])
        return values.reset_index(drop=True).iloc[place].reset_index(drop=True)
    raise UsageError(
        f"by: {len(values)} values for {len(clip)} frames in {len(frames)} rows; give one a row"
    )


def _spans(label: Any, given: Any) -> npt.NDArray[np.float64]:
    """Spans (k, 2) in seconds, of one (start, end) or several."""
    try:
        spans = np.atleast_2d(np.asarray(given, np.float64))
    except (TypeError, ValueError):
        spans = np.zeros((0, 0))
    if spans.ndim != 2 or spans.shape[1:] != (2,) or not (spans[:, 0] < spans[:, 1]).all():
        raise UsageError(
            f"by: {label!r} is {given!r}; give (start, end) in seconds, or several of them, with "
            "start before end"
        )
    return spans


def _within(face: FaceOfClip, spans: npt.NDArray[np.float64]) -> Mask:
    times = face.times[:, None]
    return np.any((times >= spans[:, 0]) & (times < spans[:, 1]), axis=1)
