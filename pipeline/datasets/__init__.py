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

from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import DataError, UsageError
from ..clips import Clip, DatasetContent
from . import bp4d, bp4d_plus, disfa, disfa_plus, fec, folder

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
    """The module with a dataset's facts; raises UsageError where there is no such dataset."""
    if name not in _READERS:
        raise UsageError(f"dataset {name!r} is unknown; known are: {', '.join(DATASETS)}")
    return _READERS[name]


def find_content(name: str, root: Path, **options: Any) -> DatasetContent:
    """What a dataset's folder holds, before labels are parsed.

    name: one of DATASETS. root: the dataset's folder (for `folder` also one video or image file).
    options: the dataset's own, as its module's OPTIONS; None means its default.

    Raises UsageError where the name or an option is unknown, DataError where the files are not as
    the dataset lays them out.
    """
    module = dataset_module(name)
    given = chosen_options(name, options)
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; give the root of the {name} dataset")
    content: DatasetContent = module.find_content(root.resolve(), **given)
    return content


def open_dataset(name: str, root: Path, **options: Any) -> list[Clip]:
    """The clips of a dataset with their labels, sorted by subject and name.

    Arguments and errors as `find_content`; also raises DataError where a label file is wrong.
    """
    return [found.read() for found in find_content(name, root, **options).clips]


def chosen_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options that differ from the dataset's defaults; those that are None are left out.

    Raises UsageError where the dataset has no such option.
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

    Raises UsageError where the dataset has no such option.
    """
    known = getattr(dataset_module(name), "OPTIONS", {})
    chosen = chosen_options(name, options)
    return {option: value for option, value in chosen.items() if known[option] is not None}
