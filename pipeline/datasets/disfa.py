"""DISFA (Mavadati et al. 2013): layout, AUs, folds, known trouble, and the reader of its clips."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import VIDEO_SUFFIXES, Clip, ClipLabels, DatasetContent, FoundClip
from .entries import Entries, held, misplaced, plain_name
from .label_files import intensity_code, relative_ratios
from .label_rows import frame_rows

logger = logging.getLogger(__name__)

NAME = "disfa"

# 27 subjects; 14, 15, 19, 20 and 22 do not exist. Source: the dataset as distributed.
SUBJECTS: tuple[str, ...] = tuple(
    f"SN{number:03d}" for number in (*range(1, 14), *range(16, 19), 21, *range(23, 33))
)

# Coded AUs, each frame with an intensity from 0 to 5. Source: the dataset as distributed.
AUS: tuple[int, ...] = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)

# The 8 AUs that papers report, present from intensity 2 on. Source: JAA-Net (Shao et al. 2018).
AUS_USED: tuple[int, ...] = (1, 2, 4, 6, 9, 12, 25, 26)
OCCURRENCE_THRESHOLD = 2

# Subject-exclusive test folds. Source: JAA-Net; ME-GraphAU and FMAE-IAT use the same.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("SN001", "SN002", "SN009", "SN010", "SN016", "SN026", "SN027", "SN030", "SN032"),
    ("SN006", "SN011", "SN012", "SN013", "SN018", "SN021", "SN024", "SN028", "SN031"),
    ("SN003", "SN004", "SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029"),
)

FRAMES_PER_SECOND = 20.0
FRAME_COUNT = 4845
FRAME_COUNT_OF: dict[str, int] = {"SN010": 4844}
FIRST_FRAME_ID = 1

# Frame numbers (from 1, both ends included) where the distributed landmarks are wrong: occlusion,
# hands, fast motion. A detector may fail there too. Source: the dataset's own notes.
KNOWN_TROUBLE: dict[str, tuple[tuple[int, int], ...]] = {
    "SN001": ((398, 420), (3190, 3243)),
    "SN002": ((800, 826),),
    "SN004": ((4541, 4555),),
    "SN006": ((1349, 1405),),
    "SN009": ((1736, 1808), (1851, 1885)),
    "SN011": ((4529, 4533), (4830, 4845)),
    "SN021": (
        *((574, 616), (985, 1164), (1190, 1205), (1305, 1338), (1665, 1710)),
        *((1862, 2477), (2554, 4657), (4710, 4722)),
    ),
    "SN023": (
        *((1021, 1049), (3378, 3557), (3584, 3668), (4547, 4621)),
        *((4741, 4772), (4825, 4845)),
    ),
    "SN025": ((4596, 4662), (4816, 4835)),
    "SN027": ((3461, 3494), (4738, 4785)),
    "SN028": ((1875, 1885), (4571, 4690)),
    "SN029": ((4090, 4543),),
    "SN030": ((939, 962), (1406, 1422), (2100, 2132), (2893, 2955)),
}

# Class weights of the training subjects of each fold, for AUS_USED: in inverse proportion to how
# often an AU is present. Source: ME-GraphAU (Luo et al. 2022), data/DISFA/list/DISFA_weight_fold*.
_CLASS_WEIGHTS = (
    (1.422290, 2.347771, 0.399672, 0.795021, 1.878217, 0.440125, 0.195583, 0.521322),
    (1.390215, 1.469573, 0.527298, 1.034498, 1.672842, 0.656650, 0.303915, 0.945009),
    (1.510590, 1.560063, 0.475896, 0.884891, 1.656857, 0.570937, 0.277589, 1.063177),
)
# Share of frames with each AU as published, in proportion to each other. AU 5, 15, 17 and 20 have
# no source.
RELATIVE_RATIOS: Mapping[int, float] | None = relative_ratios(AUS_USED, _CLASS_WEIGHTS)

VIDEO_FOLDER = "Videos_LeftCamera"
RIGHT_VIDEO_FOLDER = "Videos_RightCamera"
LABEL_FOLDER = "ActionUnit_Labels"
_VIDEO_NAME = re.compile(r"leftvideo(sn\d+)_comp", re.ASCII | re.IGNORECASE)
_SUBJECT_IN_NAME = re.compile(r"sn\d+", re.ASCII | re.IGNORECASE)
_SUBJECT_OF = {plain_name(subject): subject for subject in SUBJECTS}
_EVERY_AU = f"every subject needs one for each of AU {', '.join(map(str, AUS))}"


def video_path(root: Path, subject: str) -> Path:
    """Where a subject's video lies.

    Parameters
    ----------
    root : the dataset's folder
    subject : SN and three digits

    Returns
    -------
    Path
        the video of the left camera
    """
    return root / VIDEO_FOLDER / f"LeftVideo{subject}_comp.avi"


def label_path(root: Path, subject: str, au: int) -> Path:
    """Where a subject's labels of one AU lie.

    Parameters
    ----------
    root : the dataset's folder
    subject : SN and three digits
    au : AU number

    Returns
    -------
    Path
    """
    return root / LABEL_FOLDER / subject / f"{subject}_au{au}.txt"


def find_content(root: Path) -> DatasetContent:
    """Find the subjects whose video is there; a part of the 27 will do.

    A video may have another suffix, and any name other capitals.

    Parameters
    ----------
    root : the dataset's folder

    Returns
    -------
    DatasetContent

    Raises
    ------
    DataError
        there is no video
    """
    entries = Entries()
    folder = entries.find(root, VIDEO_FOLDER)
    videos, surplus = _videos(folder, entries.names(folder))
    for line in surplus:
        logger.warning("%s", line)
    if not videos:
        hint = _where_videos_are(root, surplus)
        raise DataError(
            f"{root / VIDEO_FOLDER}: no {video_path(root, 'SNxxx').name}; "
            + (
                hint
                or f"give the folder that holds {VIDEO_FOLDER}/ and {LABEL_FOLDER}/; {held(root)}"
            )
        )
    clips = [
        FoundClip(subject, _clip_name(subject), partial(_read_clip, root, paths, subject))
        for subject, paths in sorted(videos.items())
    ]
    missing = []
    labels = entries.find(root, LABEL_FOLDER)
    for path in (labels / name for name in entries.names(labels)):
        subject = _SUBJECT_OF.get(plain_name(path.name))
        if subject is None and path.is_dir():
            surplus.append(f"{path}: not named as a DISFA subject; not used")
        elif subject is not None and subject not in videos:
            missing.append(
                f"{video_path(root, subject)}: no video of the labelled subject {subject}"
            )
    right = entries.find(root, RIGHT_VIDEO_FOLDER)
    if right.is_dir():
        surplus.append(f"{right}: videos of the right camera; not used")
    return DatasetContent(tuple(clips), tuple(missing), tuple(surplus))


def _videos(folder: Path, names: list[str]) -> tuple[dict[str, list[Path]], list[str]]:
    """The videos of each subject, one where one is called as distributed; what else is there."""
    videos: dict[str, list[Path]] = {}
    surplus = []
    for path in (folder / name for name in names):
        match = _VIDEO_NAME.fullmatch(path.stem)
        subject = _SUBJECT_OF.get(plain_name(match[1])) if match else None
        if subject is not None and path.suffix.lower() in VIDEO_SUFFIXES:
            videos.setdefault(subject, []).append(path)
        else:
            surplus.append(f"{path}: {_strange(path.name)}; not used")
    for subject, paths in videos.items():
        distributed = video_path(folder.parent, subject).name
        first = [path for path in paths if path.name == distributed]
        if len(paths) > 1 and first:
            surplus += [
                f"{path}: another video of {subject} beside {distributed}; not used"
                for path in paths
                if path not in first
            ]
            videos[subject] = first
    return videos, surplus


def _strange(name: str) -> str:
    """Why a file is no video of a subject."""
    if "right" in name.casefold():
        return "a video of the right camera"
    match = _SUBJECT_IN_NAME.search(name)
    subject = _SUBJECT_OF.get(plain_name(match[0])) if match else None
    if subject is None:
        return "not named as a video of a DISFA subject"
    return f"found {name}, expected {_clip_name(subject)}.avi"


def _where_videos_are(root: Path, surplus: list[str]) -> str:
    """What was found where no video is."""
    right = Entries().find(root, RIGHT_VIDEO_FOLDER)
    if right.is_dir() and not surplus:
        return f"found {right}, expected {VIDEO_FOLDER}: the labels are of the left camera's videos"
    here, _ = _videos(root, Entries().names(root))
    video = next((paths[0] for paths in here.values()), None)
    flat = "" if video is None else f"found {video}, expected {VIDEO_FOLDER}/{video.name}"
    return misplaced(root, (VIDEO_FOLDER, LABEL_FOLDER)) or flat or next(iter(surplus), "")


def _clip_name(subject: str) -> str:
    return f"LeftVideo{subject}_comp"


def expected_frames(subject: str) -> int:
    """Number of frames of a subject's video as distributed.

    Parameters
    ----------
    subject : SN and three digits

    Returns
    -------
    int
    """
    return FRAME_COUNT_OF.get(subject, FRAME_COUNT)


def _read_clip(root: Path, videos: list[Path], subject: str) -> Clip:
    if len(videos) > 1:
        found = " and ".join(path.name for path in videos)
        raise DataError(
            f"{videos[0].parent}: {found} could both be the video of {subject}; remove one"
        )
    return Clip(
        dataset=NAME,
        subject=subject,
        name=_clip_name(subject),
        root=root,
        source=videos[0],
        first_frame_id=FIRST_FRAME_ID,
        labels=read_labels(root, subject),
    )


def read_labels(root: Path, subject: str) -> ClipLabels:
    """Read a subject's intensities, each AU from the file of its own number.

    Parameters
    ----------
    root : the dataset's folder
    subject : SN and three digits

    Returns
    -------
    ClipLabels
        a row a frame, 0 to 5

    Raises
    ------
    DataError
        a file is missing or wrong; the message names file and line
    """
    entries = Entries()
    folder = entries.find(root, LABEL_FOLDER, subject)
    files = [entries.find(folder, label_path(root, subject, au).name) for au in AUS]
    columns = [read_label_file(file, au) for file, au in zip(files, AUS, strict=True)]
    lengths = [len(column) for column in columns]
    shortest = int(np.argmin(lengths))
    return ClipLabels(
        au_names=tuple(f"AU{au}" for au in AUS),
        kind="intensity",
        values=np.stack([column[: lengths[shortest]] for column in columns], axis=1),
        shortest=files[shortest],
    )


def read_label_file(path: Path, au: int) -> npt.NDArray[np.int8]:
    """Read the intensities of one AU from lines `frame,intensity`.

    Parameters
    ----------
    path : the label file
    au : AU number

    Returns
    -------
    (m,) int8
        0 to 5, row i is frame i + 1

    Raises
    ------
    DataError
        the file is missing, a line is not `frame,intensity`, the frame numbers do not run 1, 2,
        3 ..., or an intensity is not 0 to 5
    """
    values: list[int] = []
    for row, frame, code in frame_rows(path, au, form="frame,intensity", missing=_EVERY_AU):
        expected = FIRST_FRAME_ID + len(values)
        if frame != expected:
            raise DataError(
                f"{path}, line {row.number}: frame {frame} where {expected} was expected (twice, "
                "left out or out of order); get the file again"
            )
        values.append(intensity_code(path, row, code))
    return np.array(values, np.int8)
