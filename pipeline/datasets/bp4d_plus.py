"""BP4D+ (Zhang et al. 2016): subjects, coded tasks, AUs, a seeded split, the reader of its clips.

Laid out as BP4D: `F001/T1/0001.jpg`, `AUCoding/AU_OCC/F001_T1.csv`. Only coded frames are used.
Papers agree on no split, so that `seeded_folds` makes one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..clips import DatasetContent
from . import bp4d

NAME = "bp4d-plus"

# 82 women and 58 men. Source: the dataset as distributed.
SUBJECTS: tuple[str, ...] = (
    *(f"F{number:03d}" for number in range(1, 83)),
    *(f"M{number:03d}" for number in range(1, 59)),
)
# Of its ten tasks, those that are coded.
TASKS: tuple[str, ...] = ("T1", "T6", "T7", "T8")

# Source: the dataset as distributed, in BP4D's form.
AUS = bp4d.AUS
AUS_USED = bp4d.AUS_USED
INTENSITY_AUS = bp4d.INTENSITY_AUS

# Coded frames, about. Source: the dataset as distributed.
FRAME_COUNT_ABOUT = 198_000


def seeded_folds(
    subjects: Sequence[str], *, seed: int, count: int = 3
) -> tuple[tuple[str, ...], ...]:
    """Deal subjects to folds of nearly equal size, women and men alike.

    The order is that of a SHA-256 of seed and name, which no version of a library changes.

    Parameters
    ----------
    subjects : names that begin with a letter for the sex, such as F001
    seed : of the order
    count : of folds

    Returns
    -------
    tuple of tuple of str
        the names of each fold, sorted
    """
    letters = sorted({name[0] for name in subjects})
    dealt = [
        name
        for letter in letters
        for name in sorted(
            (name for name in subjects if name[0] == letter),
            key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest(),
        )
    ]
    return tuple(tuple(sorted(dealt[number::count])) for number in range(count))


# There is no public split that papers agree on: this one is ours, from the seed, and goes into the
# work folder as a file that can be edited and given back to `glee train --split`.
FOLD_SEED = 0
FOLDS: tuple[tuple[str, ...], ...] = seeded_folds(SUBJECTS, seed=FOLD_SEED)
FOLDS_FILE = "folds.json"

# Share of frames with each AU as published, in proportion to each other: no source was found.
RELATIVE_RATIOS: Mapping[int, float] | None = None

OPTIONS: Mapping[str, Any] = bp4d.OPTIONS

LAYOUT = bp4d.Layout(NAME, SUBJECTS, TASKS, AUS, INTENSITY_AUS)


def find_content(root: Path, **options: Any) -> DatasetContent:
    """Find the coded clips of BP4D+ that are there, and the split as a file for the work folder.

    Parameters
    ----------
    root : the dataset's folder
    options : of `bp4d.find_layout`

    Returns
    -------
    DatasetContent

    Raises
    ------
    UsageError, DataError
        as `bp4d.find_layout`
    """
    content = bp4d.find_layout(LAYOUT, root, **options)
    split = {str(number): fold for number, fold in enumerate(FOLDS, start=1)}
    return replace(content, files={FOLDS_FILE: (json.dumps(split, indent=1) + "\n").encode()})
