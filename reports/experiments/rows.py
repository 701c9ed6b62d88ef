"""The rows that an experiment measures, and the work folders it needs.

A row is a network of Table 5 or a baseline. Work folders are known by the dataset that their shards
name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...pipeline.datasets import fec
from ...pipeline.shards.shard import list_shards, read_shard
from ...pipeline.work_folder import is_synthetic

FULL = "GLEE-Net"
# Which pre-training a row starts from: an ablation that has one, "" for none.
FULL_START, GLOBAL_START, NO_START = "full", "no-lb", ""
PLAIN_START = "no-attention"


@dataclass(frozen=True)
class Row:
    """A row to measure.

    Attributes
    ----------
    name : str
        As the paper prints it.
    ablation : str
        A key of config.ABLATIONS.
    start : str
        Ablation of the pre-training it starts from, "" for none.
    folder : str
        Name of its runs' folder.
    """

    name: str
    ablation: str
    start: str
    folder: str


GLEE_NET = Row(FULL, "full", FULL_START, "full")
# Table 5, in the paper's order. An ImageNet start of "w. ResNet" is not what the paper says.
ABLATION_ROWS = (
    Row("w/o pretrain", "full", NO_START, "no-pretrain"),
    Row("w. fixed GB & LB", "fixed-gb-lb", FULL_START, "fixed-gb-lb"),
    Row("w. ResNet", "resnet", NO_START, "resnet"),
    Row("w/o GB & LB", "no-gb-lb", NO_START, "no-gb-lb"),
    Row("w/o 3DGB", "no-3dgb", FULL_START, "no-3dgb"),
    Row("w/o LB", "no-lb", GLOBAL_START, "no-lb"),
    Row("w/o TC", "no-tc", FULL_START, "no-tc"),
    Row("w/o joint FC", "no-joint-fc", FULL_START, "no-joint-fc"),
    GLEE_NET,
)
# No row of Table 5, measured beside it: the local branch without its self-attention.
WITHOUT_ATTENTION = Row("w/o self-attention", "no-attention", PLAIN_START, "no-attention")
TABLE5_ROWS = (*ABLATION_ROWS, WITHOUT_ATTENTION)
# A ResNet on the image and an MLP, nothing of the paper's; beside it two SVMs, see `svm_baselines`.
RESNET_BASELINE = Row("ResNet baseline", "resnet-alone", NO_START, "resnet-alone")


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    Attributes
    ----------
    name : str
        As `glee experiment` takes it.
    dataset : str
        Trained on.
    rows : tuple of Row
        Networks.
    tested : str
        Dataset tested on as a whole, "" for the folds of `dataset` itself.
    baselines : bool
        Whether SVMs and a ResNet stand beside them.
    published : int
        Number of the paper's table, 0 where it prints no figures.
    """

    name: str
    dataset: str
    rows: tuple[Row, ...] = (GLEE_NET,)
    tested: str = ""
    baselines: bool = True
    published: int = 0


EXPERIMENTS = {
    one.name: one
    for one in (
        Experiment("table1", "bp4d", published=1),
        Experiment("table2", "disfa", published=2),
        Experiment("table3", "bp4d-plus", published=3),
        Experiment("table4", "bp4d", tested="bp4d-plus", baselines=False, published=4),
        Experiment(
            "table5", "bp4d", (*ABLATION_ROWS, WITHOUT_ATTENTION), baselines=False, published=5
        ),
        Experiment("figure1", "bp4d", baselines=False),
        Experiment("figure4", "bp4d", baselines=False),
        Experiment("figure5", "bp4d", baselines=False),
    )
}


def experiment_called(name: str) -> Experiment:
    """Find an experiment.

    Parameters
    ----------
    name : str
        A key of EXPERIMENTS.

    Returns
    -------
    Experiment
        Of this name.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if name not in EXPERIMENTS:
        raise UsageError(f"unknown experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


@dataclass(frozen=True)
class ExperimentData:
    """A work folder that an experiment trains or tests on.

    Attributes
    ----------
    folder : Path
        The work folder.
    dataset : str
        Name of the dataset or its layout.
    synthetic : bool
        Its people are rendered.
    subjects : tuple of str
        Names, sorted.
    shards : int
        How many.
    detector : str
        Of its landmarks.
    """

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


def find_data(folders: Iterable[Path]) -> dict[str, ExperimentData]:
    """Describe work folders.

    Parameters
    ----------
    folders : iterable of Path
        With shards.

    Returns
    -------
    dict of str to ExperimentData
        By dataset.

    Raises
    ------
    ShardError
        Where a folder has no shards.
    UsageError
        Where two are of one dataset.
    """
    found: dict[str, ExperimentData] = {}
    for folder in folders:
        work = _describe(Path(folder))
        if work.dataset in found:
            raise UsageError(
                f"{found[work.dataset].folder} and {folder} both hold {work.dataset}; give one"
            )
        found[work.dataset] = work
    return found


def _describe(folder: Path) -> ExperimentData:
    paths = list_shards(folder)
    header = read_shard(paths[0], verify=False).header
    return ExperimentData(
        folder=folder,
        dataset=header.dataset,
        synthetic=is_synthetic(folder),
        subjects=tuple(sorted({path.parts[-3] for path in paths})),
        shards=len(paths),
        detector=header.detector,
    )


def needed_data(
    given: Mapping[str, ExperimentData], dataset: str, experiment: str
) -> ExperimentData:
    """Find the work folder of a dataset.

    Parameters
    ----------
    given : mapping of str to ExperimentData
        By dataset.
    dataset : str
        That is needed.
    experiment : str
        By which.

    Returns
    -------
    ExperimentData
        Of the dataset.

    Raises
    ------
    UsageError
        Where it is not among those given.
    """
    if dataset not in given:
        names = ", ".join(sorted(given)) or "none"
        raise UsageError(
            f"{experiment} needs shards of {dataset}, given are: {names}; "
            f"make them with `glee preprocess --dataset {dataset}` and name them with --work"
        )
    return given[dataset]


def pretraining_data(given: Mapping[str, ExperimentData]) -> ExperimentData | None:
    """Find FEC's shards among those `given`; None where they are not there."""
    return given.get(fec.NAME)
