"""FEC, Google's facial expression comparison (Vemulapalli and Agarwala 2019): triplets of faces.

`faceexp-comparison-data-train-public.csv` and `...-test-public.csv` name photographs by URL; many
are dead, so the user brings a folder of those that could be downloaded. A row has three faces of
photographs, the triplet's type, and the votes on it. A frame is the cut-out around one face, its
`frame_id` the face's number by first mention in the table, whether its image is there or not. Each
split is a "subject", a clip holds up to 1024 faces of it. They are not of one person: `glee fit3d`
takes `--identity frame` for them. Source: the dataset's own description.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ..clips import Clip, DatasetContent, FaceBox, FoundClip
from .downloaded_images import files_of_urls
from .entries import absolute
from .label_rows import cell_number, table_lines
from .triplets import TRIPLET_FILE, TripletTable, encode_triplets

NAME = "fec"
# Every image shows another person, whatever its subject's name: identities are those of frames.
STRANGERS = True

SPLITS: tuple[str, ...] = ("train", "test")
TABLE = "faceexp-comparison-data-{split}-public.csv"
IMAGE_FOLDER = "images"
CLIP_FACES = 1024

OPTIONS: Mapping[str, Any] = {"images": None, "url_map": None}

# By how many of the three faces share an expression class. Source: the dataset's own description.
TRIPLET_TYPES: tuple[str, ...] = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")

# By triplet type, in the literature. Source: Vemulapalli and Agarwala (2019).
MARGINS: Mapping[str, float] = dict(zip(TRIPLET_TYPES, (0.1, 0.2, 0.2), strict=True))

_FACE_COLUMNS = 5
_TYPE_COLUMN = 3 * _FACE_COLUMNS
_LONGEST_URL = 4096
# What float() takes too, such as 1_1 or digits of other scripts, is none.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# Boxes may leave the image a little; further out it is no box.
_OUTSIDE = 0.5


@dataclass(frozen=True)
class Face:
    """One face of a photograph.

    Attributes
    ----------
    url : of the photograph
    box : left, right, top, bottom as shares of the photograph's width and height, in [0, 1]
    """

    url: str
    box: FaceBox


@dataclass(frozen=True)
class Triplet:
    """Three faces and what annotators said of them.

    Attributes
    ----------
    faces : the three
    kind : index into TRIPLET_TYPES
    votes : for each face, annotators who found it least like the others
    """

    faces: tuple[Face, Face, Face]
    kind: int
    votes: tuple[int, int, int]

    @property
    def odd(self) -> int | None:
        """The face that most annotators found least like the others, 0 to 2; None for a tie."""
        most = max(self.votes)
        return self.votes.index(most) if self.votes.count(most) == 1 else None


def find_content(
    root: Path, *, images: Path | None = None, url_map: Path | None = None
) -> DatasetContent:
    """Find the faces whose triplets are whole, and make these triplets' table for the work folder.

    Parameters
    ----------
    root : the folder of the tables
    images : folder of downloaded images, IMAGE_FOLDER of the root if None
    url_map : table of URL to file in it, see `downloaded_images.files_of_urls`

    Returns
    -------
    DatasetContent
        its counts are rows, malformed, ties, triplets with a dead image, triplets that survive,
        images named and dead

    Raises
    ------
    DataError
        there is no table, or no triplet survives
    """
    folder = absolute(root / (images or IMAGE_FOLDER))
    counts: Counter[str] = Counter()
    clips: list[FoundClip] = []
    tables, missing = {}, []
    for split in sorted(SPLITS):
        path = root / TABLE.format(split=split)
        if not path.is_file():
            missing.append(f"{path}: no such table")
            continue
        triplets = _read_triplets(path, counts)
        faces = _numbered(triplets)
        voted = [triplet for triplet in triplets if triplet.odd is not None]
        counts["ties"] += len(triplets) - len(voted)
        urls = sorted({face.url for triplet in voted for face in triplet.faces})
        files = files_of_urls(urls, folder, None if url_map is None else root / url_map)
        counts["images"] += len(urls)
        counts["dead images"] += len(urls) - len(files)
        whole = [t for t in voted if all(face.url in files for face in t.faces)]
        counts["triplets with a dead image"] += len(voted) - len(whole)
        counts["triplets"] += len(whole)
        tables[split] = _table(whole, faces)
        clips += _clips(split, root, folder, whole, faces, files)
    if not clips:
        raise DataError(
            f"{root}: no triplet of {', '.join(TABLE.format(split=split) for split in SPLITS)} has "
            f"its three images in {folder}; download them, or give the options images and url_map"
        )
    return DatasetContent(
        tuple(clips),
        missing=tuple(missing),
        counts=dict(counts),
        files={TRIPLET_FILE: encode_triplets(tables)},
    )


def _read_triplets(path: Path, counts: Counter[str]) -> list[Triplet]:
    triplets, malformed, first = [], 0, ""
    for line in table_lines(path):
        triplet = parse_row(line)
        if triplet is None:
            malformed, first = malformed + 1, first or line
        else:
            triplets.append(triplet)
    if malformed and not triplets:
        raise DataError(
            f"{path}: none of its {malformed} rows is as distributed, first {first[:60]!r}; "
            "get the file again"
        )
    counts["rows"] += len(triplets) + malformed
    counts["malformed rows"] += malformed
    return triplets


def _numbered(triplets: list[Triplet]) -> dict[Face, int]:
    """Face -> number, by first mention."""
    numbers: dict[Face, int] = {}
    for triplet in triplets:
        for face in triplet.faces:
            numbers.setdefault(face, len(numbers))
    return numbers


def _table(triplets: list[Triplet], numbers: dict[Face, int]) -> TripletTable:
    return TripletTable(
        faces=np.array(
            [[numbers[face] for face in triplet.faces] for triplet in triplets], np.int64
        ).reshape(-1, 3),
        odd=np.array([triplet.odd for triplet in triplets], np.int8),
        kind=np.array([triplet.kind for triplet in triplets], np.int8),
        votes=np.array([triplet.votes for triplet in triplets], np.int16).reshape(-1, 3),
        kinds=TRIPLET_TYPES,
    )


def _clips(
    split: str,
    root: Path,
    folder: Path,
    triplets: list[Triplet],
    numbers: dict[Face, int],
    files: dict[str, str],
) -> list[FoundClip]:
    used = sorted({(numbers[face], face) for t in triplets for face in t.faces}, key=_first)
    groups: dict[int, list[tuple[int, Face]]] = {}
    for number, face in used:
        groups.setdefault(number // CLIP_FACES, []).append((number, face))
    return [
        FoundClip(split, f"{group:06d}", partial(_clip, split, group, root, folder, faces, files))
        for group, faces in groups.items()
    ]


def _first(item: tuple[int, Face]) -> int:
    return item[0]


def _clip(
    split: str,
    group: int,
    root: Path,
    folder: Path,
    faces: list[tuple[int, Face]],
    files: dict[str, str],
) -> Clip:
    return Clip(
        dataset=NAME,
        subject=split,
        name=f"{group:06d}",
        root=root if folder.is_relative_to(root) else folder.parent,
        source=folder,
        images=tuple(files[face.url] for _, face in faces),
        frame_ids=tuple(number for number, _ in faces),
        boxes=tuple(face.box for _, face in faces),
    )


def parse_row(line: str) -> Triplet | None:
    """Parse a line of the table.

    Parameters
    ----------
    line : columns with commas between them, or else with semicolons or tabs

    Returns
    -------
    Triplet or None
        None where the line is malformed
    """
    rows = (_triplet(_columns(line, mark)) for mark in ",;\t" if mark in line)
    return next((triplet for triplet in rows if triplet is not None), None)


def _triplet(columns: list[str]) -> Triplet | None:
    if len(columns) < _TYPE_COLUMN + 3:
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


def _columns(line: str, mark: str) -> list[str]:
    """Columns without blanks around them and empty ones at the end; none where quotes err."""
    if '"' in line:
        try:
            columns = next(csv.reader([line], delimiter=mark, strict=True), [])
        except csv.Error:
            return []
    else:
        columns = line.split(mark)
    columns = [column.strip() for column in columns]
    while columns and not columns[-1]:
        columns.pop()
    return columns


def _face(columns: list[str]) -> Face | None:
    url, *numbers = columns
    if "://" not in url or len(url) > _LONGEST_URL:
        return None
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    edges = [float(number) for number in numbers]
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
        face = cell_number(vote)
        if not annotator or face not in (1, 2, 3):
            return None
        votes[face - 1] += 1
    return votes[0], votes[1], votes[2]
