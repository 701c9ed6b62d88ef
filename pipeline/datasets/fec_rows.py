"""A row of FEC's tables: three faces of photographs, the triplet's type, and the votes on it."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

from ..clips import FaceBox

# By how many of the three faces share an expression class. Source: the dataset's own description.
TRIPLET_TYPES: tuple[str, ...] = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")

_FACE_COLUMNS = 5
_TYPE_COLUMN = 3 * _FACE_COLUMNS
_LONGEST_URL = 4096
# Boxes may leave the image a little; further out it is no box.
_OUTSIDE = 0.5


@dataclass(frozen=True)
class Face:
    """One face: the photograph's URL, and the box as parts of its width and height, in it."""

    url: str
    box: FaceBox


@dataclass(frozen=True)
class Triplet:
    """Three faces. kind: index into TRIPLET_TYPES. votes: for each as least like the others."""

    faces: tuple[Face, Face, Face]
    kind: int
    votes: tuple[int, int, int]

    @property
    def odd(self) -> int | None:
        """The face that most annotators found least like the others, 0 to 2; None for a tie."""
        most = max(self.votes)
        return self.votes.index(most) if self.votes.count(most) == 1 else None


def parse_row(line: str) -> Triplet | None:
    """The triplet in a line of the table; None where the line is malformed."""
    columns = _columns(line)
    if columns is None or len(columns) < _TYPE_COLUMN + 3:
        return None
    faces = [
        _face(columns[start : start + _FACE_COLUMNS])
        for start in range(0, _TYPE_COLUMN, _FACE_COLUMNS)
    ]
    first, second, third = faces
    kind = columns[_TYPE_COLUMN]
    votes = _votes(columns[_TYPE_COLUMN + 1 :])
    if first is None or second is None or third is None or votes is None:
        return None
    if kind not in TRIPLET_TYPES or len({first, second, third}) < 3:
        return None
    return Triplet((first, second, third), TRIPLET_TYPES.index(kind), votes)


def _columns(line: str) -> list[str] | None:
    """Columns without blanks around them and without empty ones at the end."""
    if '"' in line:
        try:
            columns = next(csv.reader([line], strict=True), [])
        except csv.Error:
            return None
    else:
        columns = line.split(",")
    columns = [column.strip() for column in columns]
    while columns and not columns[-1]:
        columns.pop()
    return columns


def _face(columns: list[str]) -> Face | None:
    url, *numbers = columns
    if "://" not in url or len(url) > _LONGEST_URL:
        return None
    try:
        edges = [float(number) for number in numbers]
    except ValueError:
        return None
    if not all(math.isfinite(edge) and -_OUTSIDE <= edge <= 1 + _OUTSIDE for edge in edges):
        return None
    left, right, top, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
    return Face(url, (left, right, top, bottom)) if left < right and top < bottom else None


def _votes(columns: list[str]) -> tuple[int, int, int] | None:
    """Votes for each face, from pairs of annotator and vote 1 to 3."""
    votes = [0, 0, 0]
    if len(columns) % 2:
        return None
    for annotator, vote in zip(columns[::2], columns[1::2], strict=True):
        if not annotator or vote not in ("1", "2", "3"):
            return None
        votes[int(vote) - 1] += 1
    return votes[0], votes[1], votes[2]
