"""Label files of Action Units, and how often AUs are present as published.

BP4D and BP4D+ code AUs in CSV files: occurrence by clip, intensity by AU. Others wrote these files,
so that their sizes are checked before anything is read.

Papers print F1, seldom counts. What is public are class weights, in inverse proportion to the
ratios of a fold's training subjects and with a mean of 1; so the ratios are known but for one
factor, which is taken from the labels at hand. That is enough to see columns that stand in
another's place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError

# The code of what was not coded; it stays unknown, it is not absence.
NOT_CODED = 9
UNKNOWN = -1
MAXIMUM_INTENSITY = 5

# A label file has one short line a frame; a larger file is something else.
MAXIMUM_LABEL_BYTES = 64 << 20
# No line of a table is longer; what is, is returned in pieces.
MAXIMUM_LINE = 1 << 16

# With fewer AUs the factor would hang on each of them.
_LEAST_AUS = 4
_WHOLE = re.compile(r"\s*\d{1,9}\s*", re.ASCII)


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

    A row is a frame number and 0, 1 or 9 (not coded) per AU; columns are found by number.

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
    """Read the codes of one AU from rows `frame,intensity`, 0 to 5 or 9 (not coded).

    A first row `0,AU number` is a header and left out.

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


def label_lines(path: Path, *, missing: str) -> list[str]:
    """Read the lines of a small ASCII file.

    Parameters
    ----------
    path : the file
    missing : what to say, after the path, where there is no such file

    Returns
    -------
    list of str
        without blank ones at the end

    Raises
    ------
    DataError
        it is missing, too large, not ASCII or cannot be read
    """
    try:
        if path.stat().st_size > MAXIMUM_LABEL_BYTES:
            raise DataError(f"{path}: too large for a label file; get the file again")
        if not path.is_file():
            raise DataError(f"{path}: is no file; get the label file again")
        text = path.read_text(encoding="ascii").removeprefix("\ufeff").rstrip()
        return text.splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: label file is missing; {missing}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: label file cannot be read ({error}); get it again") from None


def table_lines(path: Path) -> Iterator[str]:
    """Read the lines of a large text file one at a time, whatever its bytes.

    A line of more than MAXIMUM_LINE bytes comes in pieces, so that memory stays bounded.

    Parameters
    ----------
    path : the file

    Yields
    ------
    str
        without the end of the line

    Raises
    ------
    DataError
        the file is missing or cannot be read
    """
    try:
        with path.open("rb") as file:
            while line := file.readline(MAXIMUM_LINE):
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); get the file again") from None


def whole_number(text: str) -> int | None:
    """Parse a number of at most nine digits.

    Parameters
    ----------
    text : with blanks around it or without

    Returns
    -------
    int or None
        None where it is none
    """
    return int(text) if _WHOLE.fullmatch(text) else None


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
