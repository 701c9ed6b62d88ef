"""The CSV files in which BP4D and BP4D+ code Action Units: occurrence by clip, intensity by AU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from .text_lines import label_lines, whole_number

# The code of what was not coded; it stays unknown, it is not absence.
NOT_CODED = 9
UNKNOWN = -1
MAXIMUM_INTENSITY = 5


@dataclass(frozen=True, eq=False)
class FrameCodes:
    """Codes of coded frames. frames: (m,) int64, ascending. values: (m, a) int8, -1 unknown."""

    frames: npt.NDArray[np.int64]
    values: npt.NDArray[np.int8]


def read_occurrence(path: Path, aus: tuple[int, ...]) -> FrameCodes:
    """Codes of these AUs from a file whose header row is `0` and the AU numbers.

    A row is a frame number and 0, 1 or 9 (not coded) per AU; columns are found by number.

    Raises DataError naming file and line where the file is missing or wrong.
    """
    lines = label_lines(path, missing="every coded clip needs one")
    if not lines:
        raise DataError(f"{path}: is empty; get the file again")
    columns = _columns(path, lines[0], aus)
    width = len(lines[0].split(","))
    frames: list[int] = []
    values: list[list[int]] = []
    for number, line in enumerate(lines[1:], start=2):
        parts = line.split(",")
        if len(parts) != width:
            raise DataError(
                f"{path}, line {number}: {len(parts)} columns where the header has {width}; "
                "get the file again"
            )
        codes = [_code(path, number, parts[column], most=1) for column in columns]
        frames.append(_next_frame(path, number, parts[0], frames))
        values.append(codes)
    return FrameCodes(
        np.array(frames, np.int64), np.array(values, np.int8).reshape(len(frames), len(aus))
    )


def read_intensity(path: Path, au: int) -> FrameCodes:
    """Codes of one AU from a file of rows `frame,intensity`, 0 to 5 or 9 (not coded).

    A first row `0,AU number` is a header and left out.

    Raises DataError naming file and line where the file is missing or wrong.
    """
    frames: list[int] = []
    values: list[list[int]] = []
    for number, line in enumerate(label_lines(path, missing="every coded clip needs one"), start=1):
        parts = line.split(",")
        if len(parts) != 2:
            raise DataError(
                f"{path}, line {number}: {line[:40]!r} is not `frame,intensity`; get it again"
            )
        if number == 1 and [whole_number(part) for part in parts] == [0, au]:
            continue
        codes = [_code(path, number, parts[1], most=MAXIMUM_INTENSITY)]
        frames.append(_next_frame(path, number, parts[0], frames))
        values.append(codes)
    return FrameCodes(np.array(frames, np.int64), np.array(values, np.int8).reshape(-1, 1))


def side_by_side(columns: list[FrameCodes]) -> FrameCodes:
    """Files of single AUs as one table over all their frames, -1 where a file lacks the frame."""
    frames = np.unique(np.concatenate([column.frames for column in columns]))
    values = np.full((len(frames), len(columns)), UNKNOWN, np.int8)
    for index, column in enumerate(columns):
        values[np.searchsorted(frames, column.frames), index] = column.values[:, 0]
    return FrameCodes(frames, values)


def _columns(path: Path, header: str, aus: tuple[int, ...]) -> list[int]:
    """Where each AU stands, from the header row."""
    names = [whole_number(part) for part in header.split(",")]
    if len(names) < 2 or names[0] != 0 or None in names:
        raise DataError(
            f"{path}, line 1: {header[:40]!r} is no header row of `0` and AU numbers; "
            "get the file again"
        )
    for au in aus:
        if names.count(au) != 1:
            times = "no column" if au not in names else "two columns"
            raise DataError(f"{path}, line 1: {times} of AU {au}; get the file again")
    return [names.index(au) for au in aus]


def _next_frame(path: Path, number: int, text: str, before: list[int]) -> int:
    frame = whole_number(text)
    if frame is None:
        raise DataError(f"{path}, line {number}: {text[:20]!r} is no frame number; get it again")
    if before and frame <= before[-1]:
        raise DataError(
            f"{path}, line {number}: frame {frame} after {before[-1]} (twice or out of order); "
            "get the file again"
        )
    return frame


def _code(path: Path, number: int, text: str, *, most: int) -> int:
    code = whole_number(text)
    if code == NOT_CODED:
        return UNKNOWN
    if code is None or code > most:
        raise DataError(
            f"{path}, line {number}: code {text[:20]!r} is not 0 to {most} or {NOT_CODED} "
            "(not coded); get the file again"
        )
    return code
