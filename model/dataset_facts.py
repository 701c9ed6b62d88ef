"""What a dataset's own module says about evaluation: folds, AUs that papers report, threshold."""

from __future__ import annotations

from dataclasses import dataclass

from ..pipeline.datasets import DATASETS, dataset_module

# An intensity of at least this counts as occurrence where the dataset says nothing else (§4.1).
OCCURRENCE_INTENSITY = 2


@dataclass(frozen=True)
class DatasetFacts:
    """folds: test subjects of each published fold, () where there are none. aus: numbers of the AUs
    that papers report, () for all that are labelled. threshold: intensity that is an occurrence.
    """

    folds: tuple[tuple[str, ...], ...] = ()
    aus: tuple[int, ...] = ()
    threshold: int = OCCURRENCE_INTENSITY


def dataset_facts(dataset: str) -> DatasetFacts:
    """The constants FOLDS, AUS_USED and OCCURRENCE_THRESHOLD of a dataset's module, if it has them.

    dataset: name, as in a shard's header.
    """
    if dataset not in DATASETS:
        return DatasetFacts()
    module = dataset_module(dataset)
    return DatasetFacts(
        folds=tuple(tuple(fold) for fold in getattr(module, "FOLDS", ())),
        aus=tuple(getattr(module, "AUS_USED", ())),
        threshold=int(getattr(module, "OCCURRENCE_THRESHOLD", OCCURRENCE_INTENSITY)),
    )


def same_people(one: str, other: str) -> bool:
    """Whether a subject's name means the same person in both datasets, as in DISFA and DISFA+.

    Such datasets share their folds.
    """
    folds = dataset_facts(one).folds
    return one == other or (bool(folds) and folds == dataset_facts(other).folds)
