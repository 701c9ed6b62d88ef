"""Dataset readers: each module holds one dataset's layout, AU lists and folds, and finds its clips.

A reader module has `NAME` and `find_content(root, **options) -> DatasetContent`; one with options
of its own has `OPTIONS`, their defaults; one whose frames show another person each has `STRANGERS`.

Those with labels have more, which `glee verify` and the training look for by name: `SUBJECTS`;
`AUS`, the coded ones, and `AUS_USED`, those that papers report; `FOLDS`, test subjects (two
datasets with the same folds are of the same people); `RELATIVE_RATIOS`, None where no source is
known; with intensities `OCCURRENCE_THRESHOLD`, from which an AU is present (2 where it is missing).
Where the length of a subject's video is known, `expected_frames(subject)` gives it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import DataError, UsageError, did_you_mean, near_path
from ..clips import Clip, DatasetContent
from . import bp4d, bp4d_plus, disfa, disfa_plus, fec, folder
from .entries import absolute, cannot_be_read

__all__ = [
    "DATASETS",
    "chosen_options",
    "dataset_module",
    "find_content",
    "open_dataset",
    "shaping_options",
]

_READERS: dict[str, ModuleType] = {
    module.NAME: module for module in (bp4d, bp4d_plus, disfa, disfa_plus, fec, folder)
}

DATASETS: tuple[str, ...] = tuple(sorted(_READERS))


def dataset_module(name: str) -> ModuleType:
    """The module with a dataset's facts.

    Parameters
    ----------
    name : one of DATASETS

    Returns
    -------
    module

    Raises
    ------
    UsageError
        there is no such dataset
    """
    if name not in _READERS:
        near = did_you_mean(name, DATASETS)
        raise UsageError(f"dataset {name!r} is unknown; {near}known are: {', '.join(DATASETS)}")
    return _READERS[name]


def find_content(name: str, root: Path, **options: Any) -> DatasetContent:
    """Find what a dataset's folder holds, before labels are parsed.

    Parameters
    ----------
    name : one of DATASETS
    root : the dataset's folder (for `folder` also one video or image file)
    options : the dataset's own, as its module's OPTIONS; None means its default

    Returns
    -------
    DatasetContent

    Raises
    ------
    UsageError
        the name or an option is unknown
    DataError
        the files are not as the dataset lays them out
    """
    module = dataset_module(name)
    given = chosen_options(name, options)
    root = Path(root)
    try:
        if not root.exists():
            raise DataError(
                f"{root}: no such file or folder; {near_path(root)}"
                f"give the root of the {name} dataset"
            )
        content: DatasetContent = module.find_content(absolute(root), **given)
    except OSError as error:
        raise cannot_be_read(error.filename or root, error) from None
    names = Counter((clip.subject, clip.name) for clip in content.clips)
    for (subject, clip), times in names.items():
        if times > 1:
            raise DataError(
                f"{root}: {times} clips of subject {subject} are called {clip}; rename their files"
            )
    return content


def open_dataset(name: str, root: Path, **options: Any) -> list[Clip]:
    """Find the clips of a dataset with their labels.

    Parameters
    ----------
    name : one of DATASETS
    root : the dataset's folder
    options : the dataset's own, as its module's OPTIONS; None means its default

    Returns
    -------
    list of Clip
        sorted by subject and name

    Raises
    ------
    UsageError
        the name or an option is unknown
    DataError
        the files are not as the dataset lays them out, or a label file is wrong
    """
    return [found.read() for found in find_content(name, root, **options).clips]


def chosen_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options that differ from the dataset's defaults.

    Parameters
    ----------
    name : one of DATASETS
    options : by name; those that are None are left out

    Returns
    -------
    dict
        option -> value

    Raises
    ------
    UsageError
        the dataset has no such option
    """
    known = getattr(dataset_module(name), "OPTIONS", {})
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in known:
            listed = f"its options are {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(f"dataset {name} has no option {option}; {listed}")
    return {option: value for option, value in given.items() if value != known[option]}


def shaping_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Of the chosen options those that shape the shards: all but the paths, which default to None.

    Parameters
    ----------
    name : one of DATASETS
    options : by name; those that are None are left out

    Returns
    -------
    dict
        option -> value

    Raises
    ------
    UsageError
        the dataset has no such option
    """
    known = getattr(dataset_module(name), "OPTIONS", {})
    chosen = chosen_options(name, options)
    return {option: value for option, value in chosen.items() if known[option] is not None}
