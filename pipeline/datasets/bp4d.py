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

from ...errors import DataError, UsageError
from ..clips import Clip, ClipLabels, DatasetContent, FoundClip
from .folder import images_of_frames, numbered_images
from .label_files import (
    UNKNOWN,
    FrameCodes,
    read_intensity,
    read_occurrence,
    relative_ratios,
    side_by_side,
)

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
    coding = _coding_folder(root)
    folder = _image_folder(layout, root) if images is None else (root / images).resolve()
    clips, missing, surplus = [], [], []
    for subject in layout.subjects:
        for task in layout.tasks:
            coded = occurrence_path(coding, subject, task)
            pictures = folder / subject / task
            there = coded.is_file(), pictures.is_dir()
            if there == (True, True):
                read = partial(
                    _read_clip, layout, root, coding, pictures, subject, task, labels, frame_offset
                )
                clips.append(FoundClip(subject, task, read))
            elif there[0]:
                missing.append(f"{pictures}: no images of the coded clip {subject}/{task}")
            elif there[1]:
                surplus.append(f"{pictures}: images without labels ({coded.name}); not used")
    if not clips:
        raise DataError(
            f"{root}: no clip with labels and images; give the folder that holds "
            f"{CODING_FOLDER}/{OCCURRENCE_FOLDER}/ and the subjects' image folders"
        )
    surplus += _strange_labels(layout, coding)
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


def _read_clip(
    layout: Layout,
    root: Path,
    coding: Path,
    folder: Path,
    subject: str,
    task: str,
    labels: str,
    frame_offset: int,
) -> Clip:
    aus = layout.aus if labels == "occurrence" else layout.intensity_aus
    if labels == "occurrence":
        path = occurrence_path(coding, subject, task)
        codes = _coded(read_occurrence(path, aus))
    else:
        path = intensity_path(coding, subject, task, aus[0])
        files = [intensity_path(coding, subject, task, au) for au in aus]
        columns = [read_intensity(file, au) for file, au in zip(files, aus, strict=True)]
        codes = _coded(side_by_side(columns))
    if not len(codes.frames):
        raise DataError(f"{path}: no frame is coded; get the file again or remove it")
    images = numbered_images(folder)
    return Clip(
        dataset=layout.name,
        subject=subject,
        name=task,
        root=root if folder.is_relative_to(root) else folder.parents[1],
        source=folder,
        images=images_of_frames(codes.frames, images, frame_offset, path, folder),
        frame_ids=tuple(int(frame) + frame_offset for frame in codes.frames),
        labels=ClipLabels(tuple(f"AU{au}" for au in aus), labels, codes.values, path),
    )


def _coded(codes: FrameCodes) -> FrameCodes:
    """The frames of which at least one AU was coded."""
    known = (codes.values != UNKNOWN).any(1)
    return FrameCodes(codes.frames[known], np.ascontiguousarray(codes.values[known]))


def _coding_folder(root: Path) -> Path:
    for folder in (root / CODING_FOLDER, root):
        if (folder / OCCURRENCE_FOLDER).is_dir():
            return folder
    raise DataError(
        f"{root}: no {CODING_FOLDER}/{OCCURRENCE_FOLDER}/; give the folder that holds the labels "
        "and the images"
    )


def _image_folder(layout: Layout, root: Path) -> Path:
    """The root, or the one folder in it that holds folders named as subjects."""
    inside = [path for path in sorted(root.iterdir()) if path.is_dir()]
    found = [
        folder
        for folder in (root, *inside)
        if any((folder / subject).is_dir() for subject in layout.subjects)
    ]
    if len(found) > 1:
        names = ", ".join(str(folder) for folder in found)
        raise DataError(f"{names}: all hold folders of subjects; say which by the option images")
    return found[0] if found else root


def _strange_labels(layout: Layout, coding: Path) -> list[str]:
    known = {f"{subject}_{task}" for subject in layout.subjects for task in layout.tasks}
    folder = coding / OCCURRENCE_FOLDER
    return [
        f"{path}: not named as a clip of {layout.name}; not used"
        for path in sorted(folder.glob("*.csv"))
        if path.stem not in known
    ]
