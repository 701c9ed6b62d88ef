"""The work folders of an experiment, told apart by the dataset that their shards name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...pipeline.datasets import fec
from ...pipeline.shards.shard import list_shards, read_shard
from ...pipeline.synthetic_mark import is_synthetic


@dataclass(frozen=True)
class Work:
    """A work folder. synthetic: its people are rendered. detector: of its landmarks."""

    folder: Path
    dataset: str
    synthetic: bool
    subjects: tuple[str, ...]
    shards: int
    detector: str

    @property
    def in_words(self) -> str:
        """For headings: whose faces, how many, found by what."""
        where = f"SYNTHETIC people in the layout of {self.dataset}"
        who = where if self.synthetic else self.dataset
        return f"{who} ({len(self.subjects)} subjects, landmarks by {self.detector})"


def find_works(folders: Iterable[Path]) -> dict[str, Work]:
    """Each folder by its dataset.

    Raises ShardError where a folder has no shards, UsageError where two are of one dataset.
    """
    works: dict[str, Work] = {}
    for folder in folders:
        work = _describe(Path(folder))
        if work.dataset in works:
            raise UsageError(
                f"{works[work.dataset].folder} and {folder} both hold {work.dataset}; give one"
            )
        works[work.dataset] = work
    return works


def _describe(folder: Path) -> Work:
    paths = list_shards(folder)
    header = read_shard(paths[0], verify=False).header
    return Work(
        folder=folder,
        dataset=header.dataset,
        synthetic=is_synthetic(folder),
        subjects=tuple(sorted({path.parts[-3] for path in paths})),
        shards=len(paths),
        detector=header.detector,
    )


def needed_work(works: Mapping[str, Work], dataset: str, experiment: str) -> Work:
    """The work folder of a dataset. Raises UsageError where it is not among those given."""
    if dataset not in works:
        given = ", ".join(sorted(works)) or "none"
        raise UsageError(
            f"{experiment} needs shards of {dataset}, given are: {given}; "
            f"make them with `glee preprocess --dataset {dataset}` and name them with --work"
        )
    return works[dataset]


def pretraining_work(works: Mapping[str, Work]) -> Work | None:
    """FEC's shards; None where they are not given."""
    return works.get(fec.NAME)
