"""What a dataset's own module says about evaluation: folds, AUs that papers report, threshold."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

DATASET_PACKAGE = "glee.pipeline.datasets"
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
    name = f"{DATASET_PACKAGE}.{dataset}"
    if not dataset.isidentifier() or find_spec(name) is None:
        return DatasetFacts()
    module = import_module(name)
    return DatasetFacts(
        folds=tuple(tuple(fold) for fold in getattr(module, "FOLDS", ())),
        aus=tuple(getattr(module, "AUS_USED", ())),
        threshold=int(getattr(module, "OCCURRENCE_THRESHOLD", OCCURRENCE_INTENSITY)),
    )
