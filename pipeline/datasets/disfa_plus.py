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
from .entries import Entries, held, misplaced, near_miss, plain_name
from .label_files import FrameCodes, intensity_code, side_by_side
from .label_rows import frame_rows
from .numbered_images import images_of_frames, numbered_images

NAME = "disfa-plus"

# Nine of these; which ones, the folders tell. Source: the dataset as distributed.
SUBJECTS = disfa.SUBJECTS

# As DISFA: coded AUs, those that papers report. Source: as distributed.
AUS = disfa.AUS
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

# (subject, trial's plain name) -> its folder.
_Trials = dict[tuple[str, str], Path]


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
    entries = Entries()
    pictured = _trials(entries, entries.find(root, IMAGE_FOLDER))
    labelled = _trials(entries, entries.find(root, LABEL_FOLDER))
    clips = []
    for found in sorted(pictured.keys() & labelled.keys()):
        subject, folder, coding = found[0], pictured[found], labelled[found]
        if subject in SUBJECTS:
            read = partial(_read_clip, root, subject, folder, coding, frame_offset)
            clips.append(FoundClip(subject, folder.name, read))
    if not clips:
        raise DataError(_nothing(root, pictured, labelled))
    strange = {found for found in pictured | labelled if found[0] not in SUBJECTS}
    return DatasetContent(
        tuple(clips),
        missing=tuple(
            f"{root / IMAGE_FOLDER / subject / labelled[subject, trial].name}: no images of the "
            "labelled trial"
            for subject, trial in sorted(labelled.keys() - pictured.keys() - strange)
        ),
        surplus=tuple(
            f"{pictured[found]}: images without labels; not used"
            for found in sorted(pictured.keys() - labelled.keys() - strange)
        )
        + tuple(
            f"{root}: {subject}/{trial} is not named as a trial of a DISFA subject; not used"
            for subject, trial in sorted(strange)
        ),
    )


def _nothing(root: Path, pictured: _Trials, labelled: _Trials) -> str:
    """Why there is no trial, one line."""
    hint = misplaced(root, (IMAGE_FOLDER, LABEL_FOLDER))
    for found in sorted(labelled):
        if not hint and labelled[found].is_dir():
            hint = near_miss(root / IMAGE_FOLDER / found[0] / labelled[found].name)
    places = f"{IMAGE_FOLDER}/SN001/ and {LABEL_FOLDER}/SN001/"
    advice = hint or f"give the folder that holds {places}; {held(root)}"
    return f"{root}: no trial with images and labels; {advice}"


def read_label_file(path: Path, au: int) -> FrameCodes:
    """Read the intensities of one AU from lines `frame intensity`.

    Parameters
    ----------
    path : the label file
    au : AU number

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
    form = "frame intensity"
    for row, frame, code in frame_rows(path, au, form=form, missing=_EVERY_AU):
        if frame in found:
            raise DataError(
                f"{path}, line {row.number}: frame {frame} comes twice; get the file again"
            )
        found[frame] = intensity_code(path, row, code)
    frames = sorted(found)
    values = np.array([found[frame] for frame in frames], np.int8).reshape(-1, 1)
    return FrameCodes(np.array(frames, np.int64), values)


def _trials(entries: Entries, folder: Path) -> _Trials:
    """Each trial's folder by subject as distributed and the trial's plain name."""
    known = {plain_name(subject): subject for subject in SUBJECTS}
    trials: _Trials = {}
    for subject in entries.names(folder):
        for trial in entries.names(folder / subject):
            path = folder / subject / trial
            found = known.get(plain_name(subject), subject), plain_name(trial)
            if path.is_dir() and found in trials:
                raise DataError(f"{trials[found]} and {path} are one trial; remove or rename one")
            if path.is_dir():
                trials[found] = path
    return trials


def _read_clip(root: Path, subject: str, folder: Path, coding: Path, frame_offset: int) -> Clip:
    """All images of a trial; those that no label file codes have unknown labels."""
    entries = Entries()
    files = [entries.find(coding, f"AU{au}.txt") for au in AUS]
    columns = [read_label_file(file, au) for file, au in zip(files, AUS, strict=True)]
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
        name=folder.name,
        root=root,
        source=folder,
        images=tuple(images.values()),
        frame_ids=tuple(images),
        labels=ClipLabels(tuple(f"AU{au}" for au in AUS), "intensity", uncoded.values, shortest),
    )
