"""Dataset readers: each module holds one dataset's layout, AU lists and folds, and lists its clips.

A reader module has `NAME` and `read_clips(root) -> list[Clip]`; those with labels have `SUBJECTS`,
`AUS`, `AUS_USED` and `FOLDS` too.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ...errors import DataError, UsageError
from ..clips import Clip
from . import disfa, folder

_READERS: dict[str, ModuleType] = {module.NAME: module for module in (disfa, folder)}

DATASETS: tuple[str, ...] = tuple(sorted(_READERS))


def dataset_module(name: str) -> ModuleType:
    """The module with a dataset's facts; raises UsageError where there is no such dataset."""
    if name not in _READERS:
        raise UsageError(f"dataset {name!r} is unknown; known are: {', '.join(DATASETS)}")
    return _READERS[name]


def open_dataset(name: str, root: Path) -> list[Clip]:
    """The clips of a dataset, sorted by subject and name.

    name: one of DATASETS. root: the dataset's folder (for `folder` also one video or image file).

    Raises UsageError where the name is unknown, DataError where the files are not as the dataset
    lays them out.
    """
    module = dataset_module(name)
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; give the root of the {name} dataset")
    clips: list[Clip] = module.read_clips(root.resolve())
    return clips
