"""BP4D-Spontaneous (Zhang et al. 2014): its facts and reader, and the layout that BP4D+ shares.

`F001/T1/2440.jpg` (three or four digits, with or without leading zeros),
`AUCoding/AU_OCC/F001_T1.csv`, `AUCoding/AU_INT/AU06/F001_T1_AU06.csv`. Only coded frames are used.
The images lie in subject folders of the root or of one folder in it; the labels in `AUCoding/` or
the root. Source: the dataset as distributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, UsageError
from ..clips import Clip, ClipLabels, DatasetContent, FoundClip
from .entries import Entries, absolute, held, misplaced, near_miss, plain_name
from .label_files import (
    UNKNOWN,
    FrameCodes,
    read_intensity,
    read_occurrence,
    relative_ratios,
    side_by_side,
)
from .numbered_images import images_of_frames, numbered_images

NAME = "bp4d"

# 23 women and 18 men. Source: the dataset as distributed.
SUBJECTS: tuple[str, ...] = (
    *(f"F{number:03d}" for number in range(1, 24)),
    *(f"M{number:03d}" for number in range(1, 19)),
)
TASKS: tuple[str, ...] = tuple(f"T{number}" for number in range(1, 9))

# Coded by occurrence, 0 or 1, 9 where not coded; these 12 are those that papers report. Source:
# JAA-Net (Shao et al. 2018).
AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
AUS_USED = AUS
# Coded by intensity too, 0 to 5. Source: the dataset as distributed; FERA 2015.
INTENSITY_AUS: tuple[int, ...] = (6, 10, 12, 14, 17)

# Frames coded by occurrence, about. Source: the dataset as distributed.
FRAME_COUNT_ABOUT = 146_800

# Subject-exclusive test folds. Source: JAA-Net; ME-GraphAU and FMAE-IAT use the same.
FOLDS: tuple[tuple[str, ...], ...] = (
    (
        *("F001", "F002", "F008", "F009", "F010", "F016", "F018", "F023"),
        *("M001", "M004", "M007", "M008", "M012", "M014"),
    ),
    (
        *("F003", "F005", "F011", "F013", "F020", "F022"),
        *("M002", "M005", "M010", "M011", "M013", "M016", "M017", "M018"),
    ),
    (
        *("F004", "F006", "F007", "F012", "F014", "F015", "F017", "F019", "F021"),
        *("M003", "M006", "M009", "M015"),
    ),
)

# Class weights of the training subjects of each fold, for AUS: in inverse proportion to how often
# an AU is present. Source: ME-GraphAU (Luo et al. 2022), data/BP4D/list/BP4D_weight_fold*.
_CLASS_WEIGHTS = (
    (
        *(1.342985, 1.689665, 1.248091, 0.561356, 0.433044, 0.435894),
        *(0.457287, 0.541004, 1.408054, 0.722762, 1.493145, 1.666711),
    ),
    (
        *(1.191051, 1.337315, 1.246995, 0.558933, 0.468168, 0.418041),
        *(0.440099, 0.581900, 1.670360, 0.774237, 1.586367, 1.726535),
    ),
    (
        *(1.132895, 1.519623, 1.308560, 0.552098, 0.507140, 0.443118),
        *(0.474432, 0.535111, 1.496040, 0.749851, 1.582501, 1.698632),
    ),
)
# Share of coded frames with each AU as published, in proportion to each other.
RELATIVE_RATIOS: Mapping[int, float] | None = relative_ratios(AUS, _CLASS_WEIGHTS)

OPTIONS: Mapping[str, Any] = {"frame_offset": 0, "labels": "occurrence", "images": None}

OCCURRENCE_FOLDER = "AU_OCC"
INTENSITY_FOLDER = "AU_INT"
CODING_FOLDER = "AUCoding"
LABEL_KINDS = ("occurrence", "intensity")


@dataclass(frozen=True)
class Layout:
    """A dataset's facts.

    Attributes
    ----------
    name : of the dataset
    subjects : names, F or M and a number
    tasks : names, T and a number
    aus : AU numbers that are coded by occurrence
    intensity_aus : AU numbers that are coded by intensity too
    """

    name: str
    subjects: tuple[str, ...]
    tasks: tuple[str, ...]
    aus: tuple[int, ...]
    intensity_aus: tuple[int, ...]


LAYOUT = Layout(NAME, SUBJECTS, TASKS, AUS, INTENSITY_AUS)


def find_content(root: Path, **options: Any) -> DatasetContent:
    """Find the coded clips of BP4D that are there.

    Parameters
    ----------
    root : the dataset's folder
    options : of `find_layout`

    Returns
    -------
    DatasetContent

    Raises
    ------
    UsageError, DataError
        as `find_layout`
    """
    return find_layout(LAYOUT, root, **options)


def find_layout(
    layout: Layout,
    root: Path,
    *,
    frame_offset: int = 0,
    labels: str = "occurrence",
    images: Path | None = None,
) -> DatasetContent:
    """Find the coded clips that are there, labels and images; a part of the dataset will do.

    Parameters
    ----------
    layout : the dataset's facts
    root : its folder
    frame_offset : number of an image less that of its row in the label files
    labels : the kind of codes to read, one of LABEL_KINDS
    images : the folder of the subjects' image folders, where it is not found

    Returns
    -------
    DatasetContent

    Raises
    ------
    UsageError
        bad options
    DataError
        there is no coded clip with images
    """
    if labels not in LABEL_KINDS:
        raise UsageError(f"labels is {labels!r}; give one of {', '.join(LABEL_KINDS)}")
    entries = Entries()
    coding = _coding_folder(entries, root)
    folder = _image_folder(layout, entries, root, images)
    clips, missing, surplus = [], [], []
    for subject in layout.subjects:
        for task in layout.tasks:
            coded = entries.find(coding, OCCURRENCE_FOLDER, f"{subject}_{task}.csv")
            pictures = entries.find(folder, subject, task)
            there = coded.is_file(), pictures.is_dir()
            if there == (True, True):
                files = _ClipFiles(subject, task, pictures, coded, coding)
                read = partial(_read_clip, layout, root, files, labels, frame_offset)
                clips.append(FoundClip(subject, task, read))
            elif there[0]:
                near = near_miss(pictures)
                missing.append(
                    f"{pictures}: no images of the coded clip {subject}/{task}"
                    + (f"; {near}" if near else "")
                )
            elif there[1]:
                near = near_miss(coded)
                surplus.append(
                    f"{pictures}: images without labels ({near or coded.name}); not used"
                )
    if not clips:
        near = next((line for line in (*missing, *surplus) if "found " in line), "")
        places = f"{CODING_FOLDER}/{OCCURRENCE_FOLDER}/ and the image folders"
        advice = near or f"give the folder that holds {places}; {held(root)}"
        raise DataError(f"{root}: no clip with labels and images; {advice}")
    surplus += _strange_labels(layout, entries.find(coding, OCCURRENCE_FOLDER))
    return DatasetContent(tuple(clips), tuple(missing), tuple(surplus))


def occurrence_path(coding: Path, subject: str, task: str) -> Path:
    """Where a clip's occurrence codes lie.

    Parameters
    ----------
    coding : the coding folder
    subject, task : names

    Returns
    -------
    Path
        `AU_OCC/F001_T1.csv`
    """
    return coding / OCCURRENCE_FOLDER / f"{subject}_{task}.csv"


def intensity_path(coding: Path, subject: str, task: str, au: int) -> Path:
    """Where a clip's intensities of one AU lie.

    Parameters
    ----------
    coding : the coding folder
    subject, task : names
    au : AU number

    Returns
    -------
    Path
        `AU_INT/AU06/F001_T1_AU06.csv`
    """
    name = f"AU{au:02d}"
    return coding / INTENSITY_FOLDER / name / f"{subject}_{task}_{name}.csv"


@dataclass(frozen=True)
class _ClipFiles:
    """Where a clip's images and codes lie, and the coding folder."""

    subject: str
    task: str
    images: Path
    occurrence: Path
    coding: Path


def _read_clip(
    layout: Layout, root: Path, files: _ClipFiles, labels: str, frame_offset: int
) -> Clip:
    aus = layout.aus if labels == "occurrence" else layout.intensity_aus
    occurrence = read_occurrence(files.occurrence, layout.aus)
    rows = occurrence.frames
    if labels == "occurrence":
        path, codes = files.occurrence, _coded(occurrence)
    else:
        path, table = _intensities(files, aus)
        # The occurrence file has more rows than are coded, and the same numbers.
        rows, codes = np.union1d(rows, table.frames), _coded(table)
    if not len(codes.frames):
        raise DataError(f"{path}: no frame is coded; get the file again or remove it")
    folder, images = files.images, numbered_images(files.images)
    names = images_of_frames(codes.frames, images, frame_offset, path, folder, uncoded=rows)
    return Clip(
        dataset=layout.name,
        subject=files.subject,
        name=files.task,
        root=root if folder.is_relative_to(root) else folder.parents[1],
        source=folder,
        images=names,
        frame_ids=tuple(int(frame) + frame_offset for frame in codes.frames),
        labels=ClipLabels(tuple(f"AU{au}" for au in aus), labels, codes.values, path),
        notes=_rows_alone(rows, images, frame_offset, path),
    )


def _intensities(files: _ClipFiles, aus: tuple[int, ...]) -> tuple[Path, FrameCodes]:
    """The path of the first AU's file, and the codes of all."""
    entries = Entries()
    paths = []
    for au in aus:
        wanted = intensity_path(files.coding, files.subject, files.task, au)
        paths.append(entries.find(files.coding, *wanted.relative_to(files.coding).parts))
    columns = [read_intensity(file, au) for file, au in zip(paths, aus, strict=True)]
    return paths[0], side_by_side(columns)


def _rows_alone(
    rows: npt.NDArray[np.int64], images: dict[int, str], offset: int, path: Path
) -> tuple[str, ...]:
    """A line on the rows without an image, which are none of the coded ones."""
    alone = [row for row in rows.tolist() if row + offset not in images]
    if not alone:
        return ()
    return (f"{path}: {len(alone)} rows that are not coded have no image, first {alone[0]}",)


def _coded(codes: FrameCodes) -> FrameCodes:
    """The frames of which at least one AU was coded."""
    known = (codes.values != UNKNOWN).any(1)
    return FrameCodes(codes.frames[known], np.ascontiguousarray(codes.values[known]))


def _coding_folder(entries: Entries, root: Path) -> Path:
    for folder in (entries.find(root, CODING_FOLDER), root):
        if entries.find(folder, OCCURRENCE_FOLDER).is_dir():
            return folder
    hint = misplaced(root, (f"{CODING_FOLDER}/{OCCURRENCE_FOLDER}", OCCURRENCE_FOLDER))
    raise DataError(
        f"{root}: no {CODING_FOLDER}/{OCCURRENCE_FOLDER}/; "
        + (hint or f"give the folder that holds the labels and the images; {held(root)}")
    )


def _image_folder(layout: Layout, entries: Entries, root: Path, images: Path | None) -> Path:
    """The one that is given; or the root, or the one folder in it with subjects' folders."""
    if images is not None:
        return absolute(root / images)
    subjects = {plain_name(subject) for subject in layout.subjects}
    inside = [root / name for name in entries.names(root)]
    found = [
        folder
        for folder in (root, *inside)
        if any(
            plain_name(name) in subjects and (folder / name).is_dir()
            for name in entries.names(folder)
        )
    ]
    if len(found) > 1:
        names = ", ".join(str(folder) for folder in found)
        raise DataError(f"{names}: all hold folders of subjects; say which by the option images")
    return found[0] if found else root


def _strange_labels(layout: Layout, folder: Path) -> list[str]:
    known = {
        plain_name(f"{subject}_{task}") for subject in layout.subjects for task in layout.tasks
    }
    return [
        f"{path}: not named as a clip of {layout.name}; not used"
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".csv" and plain_name(path.stem) not in known
    ]
