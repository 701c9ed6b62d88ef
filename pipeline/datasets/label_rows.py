"""Rows of label files, however they were saved: what a row means is read, or it is refused.

Label files travel through spreadsheets, editors and scripts, which add byte order marks, header
lines, quotes, trailing separators and `1.0` for 1, or take other separators. All that leaves the
meaning of a row certain. Others wrote these files, so that their sizes are checked before anything
is read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePath

from ...errors import DataError
from ..clips import IMAGE_SUFFIXES
from .entries import near_miss

# A label file has one short line a frame; a larger file is something else.
MAXIMUM_LABEL_BYTES = 64 << 20
# No line of a table is longer; what is, is returned in pieces.
MAXIMUM_LINE = 1 << 16

_MOST_SHOWN = 40
_QUOTES = "\"'"
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)
# As spreadsheets, NumPy and MATLAB write whole numbers: 1, 1.0, 1.000e+00. Not 1_1, which Python's
# int() takes for 11, and no digits of other scripts.
_DECIMAL = re.compile(r"\+?\d{1,9}(\.\d{0,20})?(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
_AU_NAME = re.compile(r"au[ _]?(\d{1,2})(_[cr])?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class LabelRow:
    """A line of a label file.

    Attributes
    ----------
    number : of the line in the file, from 1
    text : the line
    cells : its fields, without quotes and blanks around them, and without empty ones at the end
    """

    number: int
    text: str
    cells: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Its beginning, for a message."""
        return repr(self.text[:_MOST_SHOWN])

    @property
    def is_words(self) -> bool:
        """Whether it is of words alone, as a header line is, and not a row that is damaged."""
        begin = self.text.strip().lstrip(_QUOTES)[:1]
        return not begin.isdigit() and all(cell_number(cell) is None for cell in self.cells)


def label_rows(path: Path, *, missing: str) -> list[LabelRow]:
    """Read the rows of a small table, header lines too.

    Fields stand between semicolons, commas, tabs or blanks: the first of these that a line has.

    Parameters
    ----------
    path : the file
    missing : what to say, after the path, where there is no such file and no near miss

    Returns
    -------
    list of LabelRow
        without blank ones at the beginning and the end

    Raises
    ------
    DataError
        it is missing, too large or cannot be read
    """
    lines = re.split(r"\r\n|\r|\n", _text(path, missing))
    rows = [LabelRow(number, line, _cells(line)) for number, line in enumerate(lines, start=1)]
    filled = [index for index, row in enumerate(rows) if row.cells]
    return rows[filled[0] : filled[-1] + 1] if filled else []


def frame_rows(
    path: Path, au: int, *, form: str, missing: str
) -> Iterator[tuple[LabelRow, int, str]]:
    """Read the rows `frame, code` of one AU's file; header lines before them are left out.

    Parameters
    ----------
    path : the label file
    au : AU number, which a header line may name
    form : what a row should be, for messages
    missing : as in `label_rows`

    Yields
    ------
    row, frame number, code as it is written

    Raises
    ------
    DataError
        the file is missing, a row is no such pair, or the header names another AU
    """
    rows = label_rows(path, missing=missing)
    while rows and rows[0].cells and rows[0].is_words:
        named = {number for cell in rows[0].cells if (number := au_number(cell)) is not None}
        if named and au not in named:
            others = ", ".join(f"AU {number}" for number in sorted(named))
            raise DataError(
                f"{path}, line {rows[0].number}: found {others}, expected AU {au} as in the file's "
                "name; get the file again"
            )
        rows = rows[1:]
    for row in rows:
        frame = frame_number(row.cells[0]) if len(row.cells) == 2 else None
        if frame is None:
            raise DataError(
                f"{path}, line {row.number}: {row.shown} is not `{form}`; get the file again"
            )
        yield row, frame, row.cells[1]


def _text(path: Path, missing: str) -> str:
    try:
        if path.stat().st_size > MAXIMUM_LABEL_BYTES:
            raise DataError(f"{path}: too large for a label file; get the file again")
        if not path.is_file():
            raise DataError(f"{path}: is no file; get the label file again")
        data = path.read_bytes()
    except FileNotFoundError:
        near = near_miss(path)
        raise DataError(f"{path}: label file is missing; {near or missing}") from None
    except OSError as error:
        raise DataError(
            f"{path}: label file cannot be read ({error.strerror}); get it again"
        ) from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def _cells(line: str) -> tuple[str, ...]:
    separator = next((mark for mark in ";,\t" if mark in line.strip()), None)
    cells = [cell.strip() for cell in line.split(separator)]
    plain = [
        cell[1:-1].strip() if len(cell) > 1 and cell[0] in _QUOTES and cell[-1] == cell[0] else cell
        for cell in cells
    ]
    while plain and not plain[-1]:
        plain.pop()
    return tuple(plain)


def table_lines(path: Path) -> Iterator[str]:
    """Read the lines of a large text file one at a time, whatever its bytes.

    A line of more than MAXIMUM_LINE bytes comes in pieces, so that memory stays bounded.

    Parameters
    ----------
    path : the file

    Yields
    ------
    str
        without the end of the line and the file's byte order mark

    Raises
    ------
    DataError
        the file is missing or cannot be read
    """
    try:
        with path.open("rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                file.seek(0)
            while line := file.readline(MAXIMUM_LINE):
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); get the file again") from None


def whole_number(text: str) -> int | None:
    """Parse a number of at most nine digits and nothing else, as in a file's name.

    Parameters
    ----------
    text : of a name

    Returns
    -------
    int or None
        None where it is none
    """
    return int(text) if _DIGITS.fullmatch(text) else None


def cell_number(text: str) -> int | None:
    """Parse a whole number as a table may have it: `1`, `1.0`, `1.000e+00`.

    Parameters
    ----------
    text : a field

    Returns
    -------
    int or None
        0 to 999,999,999; None where it is none
    """
    if not _DECIMAL.fullmatch(text):
        return None
    value = Decimal(text)
    return int(value) if value < 10**9 and value == value.to_integral_value() else None


def frame_number(text: str) -> int | None:
    """Parse a frame's number, or the file name of its image.

    Parameters
    ----------
    text : a field

    Returns
    -------
    int or None
        None where it is neither
    """
    name = PurePath(text)
    return whole_number(name.stem) if name.suffix.lower() in IMAGE_SUFFIXES else cell_number(text)


def au_number(text: str) -> int | None:
    """Parse the name of an AU: `AU1`, `AU01`, `au 1`, `AU01_r`.

    Parameters
    ----------
    text : a field

    Returns
    -------
    int or None
        None where it is none
    """
    match = _AU_NAME.fullmatch(text)
    return int(match[1]) if match else None
