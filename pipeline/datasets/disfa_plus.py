"""DISFA+ (Mavadati et al. 2016): posed and spontaneous trials of nine of DISFA's subjects.

`Images/SN001/<trial>/000.jpg`, `Labels/SN001/<trial>/AU1.txt` with rows `frame intensity`, in which
the frame is a number or the image's file name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ..clips import Clip, ClipLabels, DatasetContent, FoundClip
from . import disfa
from .folder import images_of_frames, numbered_images
from .label_files import FrameCodes, label_lines, side_by_side, whole_number

NAME = "disfa-plus"

# Nine of these; which ones, the folders tell. Source: the dataset as distributed.
SUBJECTS = disfa.SUBJECTS
SUBJECT_COUNT = 9

# As DISFA: coded AUs, intensities 0 to 5, those that papers report. Source: as distributed.
AUS = disfa.AUS
MAXIMUM_INTENSITY = disfa.MAXIMUM_INTENSITY
AUS_USED = disfa.AUS_USED
OCCURRENCE_THRESHOLD = disfa.OCCURRENCE_THRESHOLD

# DISFA's, so that no subject is trained on in one of the datasets and tested in the other.
FOLDS = disfa.FOLDS

# Share of frames with each AU as published, in proportion to each other: no source was found.
RELATIVE_RATIOS: Mapping[int, float] | None = None

IMAGE_FOLDER = "Images"
LABEL_FOLDER = "Labels"
_EVERY_AU = f"every trial needs one for each of AU {', '.join(map(str, AUS))}"

OPTIONS: Mapping[str, Any] = {"frame_offset": 0}


def label_path(root: Path, subject: str, trial: str, au: int) -> Path:
    """Where a trial's labels of one AU lie.

    Parameters
    ----------
    root : the dataset's folder
    subject : SN and three digits
    trial : name of its folder
    au : AU number

    Returns
    -------
    Path
        `Labels/SN001/<trial>/AU1.txt`
    """
    return root / LABEL_FOLDER / subject / trial / f"AU{au}.txt"


def find_content(root: Path, *, frame_offset: int = 0) -> DatasetContent:
    """Find the trials of which images and labels are there.

    Parameters
    ----------
    root : the dataset's folder
    frame_offset : number of an image less that of its row in the label files

    Returns
    -------
    DatasetContent

    Raises
    ------
    DataError
        there is none
    """
    pictured = _trials(root / IMAGE_FOLDER)
    labelled = _trials(root / LABEL_FOLDER)
    clips = tuple(
        FoundClip(subject, trial, partial(_read_clip, root, subject, trial, frame_offset))
        for subject, trial in sorted(pictured & labelled)
        if subject in SUBJECTS
    )
    if not clips:
        raise DataError(
            f"{root}: no trial with images and labels; give the folder that holds "
            f"{IMAGE_FOLDER}/SN001/ and {LABEL_FOLDER}/SN001/"
        )
    strange = {found for found in pictured | labelled if found[0] not in SUBJECTS}
    return DatasetContent(
        clips,
        missing=tuple(
            f"{root / IMAGE_FOLDER / subject / trial}: no images of the labelled trial"
            for subject, trial in sorted(labelled - pictured - strange)
        ),
        surplus=tuple(
            f"{root / IMAGE_FOLDER / subject / trial}: images without labels; not used"
            for subject, trial in sorted(pictured - labelled - strange)
        )
        + tuple(
            f"{root}: {subject}/{trial} is not named as a trial of a DISFA subject; not used"
            for subject, trial in sorted(strange)
        ),
    )


def read_label_file(path: Path) -> FrameCodes:
    """Read the intensities of one AU from lines `frame intensity`.

    Parameters
    ----------
    path : the label file

    Returns
    -------
    FrameCodes
        by frame number, ascending; 0 to 5

    Raises
    ------
    DataError
        the file is missing, a line is not `frame intensity`, a frame comes twice or an intensity is
        not 0 to 5
    """
    found: dict[int, int] = {}
    for number, line in enumerate(label_lines(path, missing=_EVERY_AU), start=1):
        parts = line.replace(",", " ").split()
        frame = whole_number(Path(parts[0]).stem) if parts else None
        intensity = whole_number(parts[1]) if len(parts) == 2 else None
        if frame is None or intensity is None:
            raise DataError(
                f"{path}, line {number}: {line[:40]!r} is not `frame intensity`; get the file again"
            )
        if intensity > MAXIMUM_INTENSITY:
            raise DataError(
                f"{path}, line {number}: intensity {intensity} is not 0 to {MAXIMUM_INTENSITY}; "
                "get the file again"
            )
        if frame in found:
            raise DataError(f"{path}, line {number}: frame {frame} comes twice; get the file again")
        found[frame] = intensity
    frames = sorted(found)
    values = np.array([found[frame] for frame in frames], np.int8).reshape(-1, 1)
    return FrameCodes(np.array(frames, np.int64), values)


def _trials(folder: Path) -> set[tuple[str, str]]:
    return {(path.parent.name, path.name) for path in folder.glob("*/*") if path.is_dir()}


def _read_clip(root: Path, subject: str, trial: str, frame_offset: int) -> Clip:
    """All images of a trial; those that no label file codes have unknown labels."""
    folder = root / IMAGE_FOLDER / subject / trial
    files = [label_path(root, subject, trial, au) for au in AUS]
    columns = [read_label_file(file) for file in files]
    shortest = files[int(np.argmin([len(column.frames) for column in columns]))]
    codes = side_by_side(columns)
    images = numbered_images(folder)
    if not images:
        raise DataError(f"{folder}: holds no image named by its number; get the images again")
    images_of_frames(codes.frames, images, frame_offset, files[0], folder)
    numbers = np.array(list(images), np.int64)
    uncoded = FrameCodes(numbers, np.full((len(numbers), len(AUS)), -1, np.int8))
    uncoded.values[np.searchsorted(numbers, codes.frames + frame_offset)] = codes.values
    return Clip(
        dataset=NAME,
        subject=subject,
        name=trial,
        root=root,
        source=folder,
        images=tuple(images.values()),
        frame_ids=tuple(images),
        labels=ClipLabels(tuple(f"AU{au}" for au in AUS), "intensity", uncoded.values, shortest),
    )
