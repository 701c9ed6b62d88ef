"""Which subjects are tested by which fold; no subject is ever in training and test of one fold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from .au_dataset import AUFrames, dataset_facts

# Fold name ("1", "2", ...) -> its test subjects, sorted.
Split = dict[str, tuple[str, ...]]


def choose_split(
    subjects: Iterable[str],
    dataset: str,
    *,
    seed: int = 0,
    count: int = 3,
    file: Path | None = None,
) -> Split:
    """Choose the split of these subjects: from a file, else the published one, else seeded.

    Parameters
    ----------
    subjects : iterable of str
        Names; doubled ones count once.
    dataset : str
        Its module's FOLDS is used where every fold has a subject here.
    seed : int
        Of a seeded split.
    count : int
        Folds of a seeded split.
    file : Path, optional
        JSON, {"1": ["SN001", ...], ...}.

    Returns
    -------
    Split
        Fold name -> its test subjects.

    Raises
    ------
    DataError
        Where the file cannot be used or there are fewer subjects than folds.
    """
    present = sorted(set(subjects))
    if file is not None:
        return check_split(read_split(file), present, str(file))
    published = dataset_facts(dataset).folds
    split = {
        str(index + 1): tuple(sorted(set(fold) & set(present)))
        for index, fold in enumerate(published)
    }
    if split and all(split.values()):
        return check_split(split, present, f"published folds of {dataset}")
    return seeded_split(present, seed=seed, count=count)


def seeded_split(subjects: list[str], *, seed: int, count: int = 3) -> Split:
    """Deal subjects to folds of nearly equal size, from the seed alone.

    Parameters
    ----------
    subjects : list of str
        Names.
    seed : int
        Of the order in which they are dealt.
    count : int
        Folds.

    Returns
    -------
    Split
        Fold name -> its test subjects.

    Raises
    ------
    DataError
        Where there are fewer subjects than folds.
    """
    if len(subjects) < count:
        raise DataError(
            f"{len(subjects)} subjects cannot make {count} subject-exclusive folds; add subjects"
        )
    shuffled = np.random.default_rng(seed).permutation(sorted(subjects))
    return {
        str(index + 1): tuple(sorted(str(name) for name in shuffled[index::count]))
        for index in range(count)
    }


def read_split(file: Path) -> Split:
    """Read a split file.

    Parameters
    ----------
    file : Path
        JSON, {"1": ["SN001", ...], ...}.

    Returns
    -------
    Split
        Fold name -> its test subjects.

    Raises
    ------
    DataError
        Where the file is missing or not of the form.
    """
    try:
        content = json.loads(file.read_text())
        return {str(name): tuple(sorted(map(str, fold))) for name, fold in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f'{file}: cannot be used as a split ({error}); give JSON as {{"1": ["SN001"], ...}}'
        ) from error


def check_split(split: Split, subjects: list[str], source: str) -> Split:
    """Check that every subject is tested once and that each fold can be trained and tested.

    Parameters
    ----------
    split : Split
        Fold name -> its test subjects.
    subjects : list of str
        Those that must be in it.
    source : str
        Of the split, for messages.

    Returns
    -------
    Split
        The split without subjects that are not there.

    Raises
    ------
    DataError
        Where a subject is missing or doubled, or a fold leaves nothing to train or test.
    """
    tested = [subject for fold in split.values() for subject in fold]
    doubled = sorted({subject for subject in tested if tested.count(subject) > 1})
    missing = sorted(set(subjects) - set(tested))
    if doubled:
        raise DataError(f"{source}: subject {doubled[0]} is in two folds; give each subject once")
    if missing:
        raise DataError(f"{source}: subject {missing[0]} is in no fold; add it to one")
    kept = {name: tuple(sorted(set(fold) & set(subjects))) for name, fold in split.items()}
    for name, fold in kept.items():
        if not name.isalnum():
            raise DataError(f"{source}: fold name {name!r}; use letters and digits")
        if not fold or len(fold) == len(subjects):
            raise DataError(f"{source}: fold {name} leaves nothing to test or train; change it")
    return kept


def training_frames(frames: AUFrames, test_subjects: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Choose the frames to train on: not of the test subjects, with a known label.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    test_subjects : tuple of str
        Names.

    Returns
    -------
    (n,) int64
        Indices, ascending.

    Raises
    ------
    DataError
        Where there are fewer than two.
    """
    indices = frames.of_subjects(set(frames.subjects) - set(test_subjects))
    indices = indices[(frames.labels[indices] >= 0).any(1)]
    if len(indices) < 2:
        raise DataError(
            f"{len(indices)} labelled frames to train on beside {', '.join(test_subjects)}; "
            "preprocess more subjects"
        )
    return indices
