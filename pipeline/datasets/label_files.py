"""Label files of Action Units, and how often AUs are present as published.

BP4D and BP4D+ code AUs in CSV files: occurrence by clip, intensity by AU.

Papers print F1, seldom counts. What is public are class weights, in inverse proportion to the
ratios of a fold's training subjects and with a mean of 1; so the ratios are known but for one
factor, which is taken from the labels at hand. That is enough to see columns that stand in
another's place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from .label_rows import LabelRow, au_number, cell_number, frame_number, frame_rows, label_rows

# The code of what was not coded; it stays unknown, it is not absence.
NOT_CODED = 9
UNKNOWN = -1
MAXIMUM_INTENSITY = 5

# With fewer AUs the factor would hang on each of them.
_LEAST_AUS = 4
_EVERY_CLIP = "every coded clip needs one"
# What may stand over the column of frame numbers.
_FRAME_COLUMN = re.compile(r"[a-z#% _.]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class FrameCodes:
    """Codes of coded frames.

    Attributes
    ----------
    frames : (m,) int64, numbers of the frames, ascending
    values : (m, a) int8, a column an AU, -1 unknown
    """

    frames: npt.NDArray[np.int64]
    values: npt.NDArray[np.int8]


def read_occurrence(path: Path, aus: tuple[int, ...]) -> FrameCodes:
    """Read the codes of AUs from a file whose header row is `0` and the AU numbers.

    A row is a frame number and 0, 1 or 9 (not coded) per AU; columns are found by number. A word
    may stand for the header's 0, and AU01 for its 1.

    Parameters
    ----------
    path : the CSV of a clip
    aus : AU numbers to read

    Returns
    -------
    FrameCodes
        columns as `aus`

    Raises
    ------
    DataError
        the file is missing or wrong; the message names file and line
    """
    rows = label_rows(path, missing=_EVERY_CLIP)
    if not rows:
        raise DataError(f"{path}: is empty; get the file again")
    while len(rows) > 1 and rows[0].is_words and not _au_numbers(rows[0]):
        rows = rows[1:]
    columns = _columns(path, rows[0], aus)
    width = len(rows[0].cells)
    frames: list[int] = []
    values: list[list[int]] = []
    for row in rows[1:]:
        if len(row.cells) != width:
            raise DataError(
                f"{path}, line {row.number}: {len(row.cells)} columns where the header has "
                f"{width}; get the file again"
            )
        codes = [_code(path, row, row.cells[column], most=1) for column in columns]
        frames.append(_next_frame(path, row, frame_number(row.cells[0]), frames))
        values.append(codes)
    return FrameCodes(
        np.array(frames, np.int64), np.array(values, np.int8).reshape(len(frames), len(aus))
    )


def read_intensity(path: Path, au: int) -> FrameCodes:
    """Read the codes of one AU from rows `frame,intensity`, 0 to 5 or 9 (not coded).

    A first row `0,AU number` is a header and left out, and so are header lines of words.

    Parameters
    ----------
    path : the CSV of a clip and an AU
    au : AU number

    Returns
    -------
    FrameCodes
        one column

    Raises
    ------
    DataError
        the file is missing or wrong; the message names file and line
    """
    frames: list[int] = []
    values: list[list[int]] = []
    for row, frame, code in frame_rows(path, au, form="frame,intensity", missing=_EVERY_CLIP):
        if not frames and frame == 0 and au in (au_number(code), cell_number(code)):
            continue
        values.append([_code(path, row, code, most=MAXIMUM_INTENSITY)])
        frames.append(_next_frame(path, row, frame, frames))
    return FrameCodes(np.array(frames, np.int64), np.array(values, np.int8).reshape(-1, 1))


def intensity_code(path: Path, row: LabelRow, text: str) -> int:
    """Parse the code of a frame that is coded: an intensity, 0 to 5.

    Parameters
    ----------
    path : the label file, for messages
    row : its row, for messages
    text : the code's field

    Returns
    -------
    int

    Raises
    ------
    DataError
        it is none
    """
    code = cell_number(text)
    if code is None or code > MAXIMUM_INTENSITY:
        raise DataError(
            f"{path}, line {row.number}: intensity {text[:20]!r} is not 0 to {MAXIMUM_INTENSITY}; "
            "get the file again"
        )
    return code


def side_by_side(columns: list[FrameCodes]) -> FrameCodes:
    """Join codes of single AUs to one table over all their frames.

    Parameters
    ----------
    columns : one AU each

    Returns
    -------
    FrameCodes
        columns as given, -1 where a file lacks the frame
    """
    frames = np.unique(np.concatenate([column.frames for column in columns]))
    values = np.full((len(frames), len(columns)), UNKNOWN, np.int8)
    for index, column in enumerate(columns):
        values[np.searchsorted(frames, column.frames), index] = column.values[:, 0]
    return FrameCodes(frames, values)


def _columns(path: Path, header: LabelRow, aus: tuple[int, ...]) -> list[int]:
    """Where each AU stands, from the header row."""
    names = _au_numbers(header)
    if not names or 0 in names:
        raise DataError(
            f"{path}, line {header.number}: {header.shown} is no header row of `0` and AU numbers; "
            "get the file again"
        )
    for au in aus:
        if names.count(au) != 1:
            times = "no column" if au not in names else "two columns"
            raise DataError(f"{path}, line {header.number}: {times} of AU {au}; get the file again")
    return [1 + names.index(au) for au in aus]


def _au_numbers(header: LabelRow) -> list[int]:
    """The AUs of the columns after the first; none where it is no header row."""
    if len(header.cells) < 2:
        return []
    first, *others = header.cells
    numbers = [au_number(cell) or cell_number(cell) for cell in others]
    if (cell_number(first) != 0 and not _FRAME_COLUMN.fullmatch(first)) or None in numbers:
        return []
    return [number for number in numbers if number is not None]


def _next_frame(path: Path, row: LabelRow, frame: int | None, before: list[int]) -> int:
    if frame is None:
        raise DataError(
            f"{path}, line {row.number}: {row.cells[0][:20]!r} is no frame number; get it again"
        )
    if before and frame <= before[-1]:
        raise DataError(
            f"{path}, line {row.number}: frame {frame} after {before[-1]} (twice or out of order); "
            "get the file again"
        )
    return frame


def _code(path: Path, row: LabelRow, text: str, *, most: int) -> int:
    code = cell_number(text)
    if code == NOT_CODED:
        return UNKNOWN
    if code is None or code > most:
        raise DataError(
            f"{path}, line {row.number}: code {text[:20]!r} is not 0 to {most} or {NOT_CODED} "
            "(not coded); get the file again"
        )
    return code


def relative_ratios(aus: Sequence[int], weights: Sequence[Sequence[float]]) -> dict[int, float]:
    """Ratios in proportion to each other, from published class weights.

    Each subject trains two of three folds, so that the geometric mean over the folds stands for all
    subjects.

    Parameters
    ----------
    aus : AU numbers
    weights : a row a fold, a column an AU

    Returns
    -------
    dict
        AU -> ratio; their mean is 1
    """
    ratios = 1.0 / np.exp(np.log(np.asarray(weights, np.float64)).mean(0))
    return dict(zip(aus, (ratios / ratios.mean()).tolist(), strict=True))


def scaled_to(relative: Mapping[int, float], present: Mapping[int, float]) -> dict[int, float]:
    """Published ratios on the scale of those at hand.

    The factor is the median over AUs, which a swapped pair of columns does not move.

    Parameters
    ----------
    relative : AU -> published ratio, known but for one factor
    present : AU -> share of the known frames that show it

    Returns
    -------
    dict
        AU -> share of frames; {} where too few AUs are in both
    """
    factors = [present[au] / ratio for au, ratio in relative.items() if present.get(au)]
    if len(factors) < _LEAST_AUS:
        return {}
    factor = float(np.median(factors))
    return {au: min(factor * ratio, 1.0) for au, ratio in relative.items()}
