"""Which rows are trained on which work folders.

The trainings of an experiment: each is run, or goes on where an earlier call stopped.

The rows that an experiment measures: which network of Table 5, or which baseline.

The work folders of an experiment, told apart by the dataset that their shards name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError
from ...model.data.au_dataset import load_frames
from ...model.data.augmentation import stored_size
from ...model.data.folds import choose_split
from ...model.network.config import preset_config
from ...model.options import TrainOptions, pretrain_options, train_options
from ...model.prediction.evaluation import evaluate
from ...model.training.linear_svm import (
    Features,
    coefficient_features,
    landmark_features,
    person_specific_coefficients,
    run_linear_svm,
)
from ...model.training.pretraining import pretrain
from ...model.training.training import EVERY_SUBJECT, train
from ...pipeline.datasets import fec
from ...pipeline.shards.shard import list_shards, read_shard
from ...pipeline.work_folder import is_synthetic

logger = logging.getLogger(__name__)

RUNS, PRETRAINING = "runs", "pretraining"
# What --quick leaves of a training: enough to see that all of it works, not to measure anything.
QUICK_EPOCHS, QUICK_TRIPLETS = 1, 60
QUICK_FOLD = "1"


@dataclass(frozen=True)
class Recipe:
    """How an experiment trains. facenet, split: paths, "" for none. changes: of the training
    options, for every row.
    """

    preset: str
    seed: int
    quick: bool
    device: str
    facenet: str
    split: str
    changes: Mapping[str, Any]

    @property
    def fold(self) -> str:
        """Folds to train: all, or one where it is to be quick."""
        return QUICK_FOLD if self.quick else "all"

    def training(self, row: Row, start: Path | None) -> TrainOptions:
        """The options of a row's training. start: pre-trained run."""
        return train_options(
            self.preset,
            ablation=row.ablation,
            seed=self.seed,
            split=self.split or None,
            init=str(start) if start else None,
            facenet=(self.facenet or None) if start is None and _has_facenet(row) else None,
            **{"epochs": QUICK_EPOCHS if self.quick else None, **self.changes},
        )

    def pretraining(self, ablation: str) -> TrainOptions:
        """The options of a pre-training."""
        return pretrain_options(
            self.preset,
            ablation=ablation,
            seed=self.seed,
            facenet=self.facenet or None,
            epochs=QUICK_EPOCHS if self.quick else None,
            triplets=QUICK_TRIPLETS if self.quick else None,
        )


def _has_facenet(row: Row) -> bool:
    return preset_config("paper", (), row.ablation).expression in ("global_local", "global")


def pretrained(row: Row, faces: Work | None, out: Path, recipe: Recipe) -> Path | None:
    """The pre-trained run that a row starts from, trained now if need be; None for none."""
    if not row.start or faces is None:
        return None
    run = out / PRETRAINING / row.start
    logger.info("pre-training of %s", row.name)
    pretrain(faces.folder, run, recipe.pretraining(row.start), device=recipe.device)
    return run


def trained(row: Row, work: Work, start: Path | None, out: Path, recipe: Recipe) -> dict[str, Any]:
    """A row's results on the folds' test subjects, as `evaluate` gives them."""
    run = run_folder(out, work, row)
    logger.info("%s: %s", row.name, run)
    options = recipe.training(row, start)
    train(work.folder, run, options, fold=recipe.fold, device=recipe.device)
    return evaluate(run).results


def trained_across(
    row: Row, work: Work, tested: Work, start: Path | None, out: Path, recipe: Recipe
) -> dict[str, Any]:
    """A row's results on another dataset, by one network of all subjects of `work`."""
    run = run_folder(out, work, row).with_name(f"{row.folder}-{EVERY_SUBJECT}-subject")
    logger.info("%s: %s", row.name, run)
    options = recipe.training(row, start)
    train(work.folder, run, options, fold=EVERY_SUBJECT, device=recipe.device)
    return evaluate(run, tested.folder, device=_plain_device(recipe.device)).results


def _plain_device(device: str) -> str:
    return "cpu" if device == "auto" else device


def svm_baselines(work: Work, out: Path, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Results of the linear SVMs on the same folds, by name."""
    options = recipe.training(Row("", "no-gb-lb", "", ""), None)
    size = stored_size(preset_config(recipe.preset, ()).image_size)
    frames = load_frames(work.folder, size=size, aus=options.aus or None, memory_limit=0)
    file = Path(options.split) if options.split else None
    split = choose_split(
        frames.subjects, frames.dataset, seed=options.seed, count=options.folds, file=file
    )
    folds = (QUICK_FOLD,) if recipe.quick else ()
    of_person = options.person_specific
    kinds: dict[str, tuple[str, Features]] = {
        "linear SVM on landmarks": ("svm-landmarks", landmark_features),
        "linear SVM on f_exp": (
            "svm-f-exp",
            person_specific_coefficients if of_person else coefficient_features,
        ),
    }
    results = {}
    for name, (folder, features) in kinds.items():
        run = out / RUNS / work.dataset / folder
        run_linear_svm(frames, features, split, run, seed=recipe.seed, folds=folds)
        results[name] = evaluate(run).results
    return results


def run_folder(out: Path, work: Work, row: Row) -> Path:
    """Where a row's run lies; experiments with the same `out` share it."""
    return out / RUNS / work.dataset / row.folder


def first_fold(out: Path, work: Work, row: Row) -> Path:
    """The folder of a row's first fold. Raises DataError where it has none."""
    folds = sorted(run_folder(out, work, row).glob("fold[0-9]*"))
    if not folds:
        raise DataError(f"{out}: {row.name} is not trained; run the experiment again")
    return folds[0]


FULL = "GLEE-Net"
# Which pre-training a row starts from: an ablation that has one, "" for none.
FULL_START, GLOBAL_START, NO_START = "full", "no-lb", ""


@dataclass(frozen=True)
class Row:
    """A row to measure. name: as the paper prints it. ablation: key of config.ABLATIONS. start:
    ablation of the pre-training it starts from, "" for none. folder: its runs'.
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
# A ResNet on the image and an MLP, nothing of the paper's; beside it two SVMs, see baselines.py.
RESNET_BASELINE = Row("ResNet baseline", "resnet-alone", NO_START, "resnet-alone")


@dataclass(frozen=True)
class Experiment:
    """A table or figure. dataset: trained on. tested: on all of which dataset, "" for the folds of
    `dataset` itself. rows: networks. baselines: whether SVMs and a ResNet stand beside them.
    published: number of the paper's table, 0 where it prints no figures.
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
        Experiment("table5", "bp4d", ABLATION_ROWS, baselines=False, published=5),
        Experiment("figure4", "bp4d", baselines=False),
        Experiment("figure5", "bp4d", baselines=False),
    )
}


def experiment_called(name: str) -> Experiment:
    """An experiment by its name. Raises UsageError where there is none."""
    if name not in EXPERIMENTS:
        raise UsageError(f"unknown experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


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
