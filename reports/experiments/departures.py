"""Wherein an experiment is not as published; where it is in nothing, its figures compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...model.data.au_dataset import dataset_facts
from ...model.data.folds import read_split
from ...model.data.provenance import fit_departures
from ...model.network.config import preset_config
from ...model.options import EMBEDDED, TrainOptions, pretrain_options, train_options
from ...pipeline.datasets import DATASETS, dataset_module
from ...pipeline.shards.shard import list_shards, read_shard
from .rows import ExperimentData, Row
from .trainings import Recipe

# What is said in other words (weights, folds, rows) or changes no figure.
_NOT_OF_THE_RECIPE = (
    *("preset", "ablation", "seed", "folds", "facenet", "split", "init"),
    *("deterministic", "checkpoint_steps"),
)
# So many names are listed, at most.
_NAMED = 3


def departures_of(
    rows: Iterable[Row],
    work: ExperimentData,
    tested: ExperimentData | None,
    faces: ExperimentData | None,
    recipe: Recipe,
) -> tuple[str, ...]:
    """List every departure from what was published: people, fit, network, training and weights.

    Parameters
    ----------
    rows : iterable of Row
        That are trained.
    work : ExperimentData
        Trained on.
    tested : ExperimentData or None
        Tested on, where it is another dataset.
    faces : ExperimentData or None
        FEC's shards.
    recipe : Recipe
        How the rows are trained.

    Returns
    -------
    tuple of str
        A line each, () where there are none.
    """
    rows = tuple(rows)
    labelled = [one for one in (work, tested) if one is not None]
    given = [*labelled, *([] if faces is None else [faces])]
    synthetic = [one.dataset for one in given if one.synthetic]
    lines = [f"people: rendered by `glee synth` ({', '.join(synthetic)})"] if synthetic else []
    for one in labelled:
        lines += _of_subjects(one)
        lines += [f"{one.dataset}: {line}" for line in _of_fit(one)]
    lines += _of_folds(work, recipe) if tested is None else []
    lines += _of_network(recipe)
    lines += _of_training("training", recipe.training(rows[0], None), train_options("paper"))
    return (*lines, *_of_weights(rows, faces, recipe))


def _of_subjects(data: ExperimentData) -> list[str]:
    if data.dataset not in DATASETS:
        return [f"subjects: {data.dataset} is no dataset of the paper"]
    known = set(dataset_module(data.dataset).SUBJECTS)
    missing, strange = sorted(known - set(data.subjects)), sorted(set(data.subjects) - known)
    lines = []
    if missing:
        there = len(known) - len(missing)
        lines.append(f"subjects: {there} of {len(known)} of {data.dataset}; {_names(missing)} lack")
    if strange:
        lines.append(f"subjects: {_names(strange)} are not of {data.dataset}")
    return lines


def _names(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _of_fit(data: ExperimentData) -> tuple[str, ...]:
    return fit_departures(read_shard(path, verify=False) for path in list_shards(data.folder))


def _of_folds(work: ExperimentData, recipe: Recipe) -> list[str]:
    published = [set(fold) for fold in dataset_facts(work.dataset).folds]
    lines = [f"folds: {recipe.fold} alone"] if recipe.quick else []
    if recipe.split:
        given = [set(fold) for fold in read_split(Path(recipe.split)).values()]
        if sorted(map(sorted, given)) != sorted(map(sorted, published)):
            lines.append(f"folds: those of {recipe.split}, not the published ones")
        return lines
    whose = "the published ones"
    if hasattr(dataset_module(work.dataset), "FOLD_SEED"):
        lines.append(f"folds: glee's own, no published ones of {work.dataset} are known")
        whose = "glee's own"
    if not published or not all(fold & set(work.subjects) for fold in published):
        lines.append(f"folds: from the seed, {whose} of {work.dataset} lack people")
    return lines


def _of_network(recipe: Recipe) -> list[str]:
    """The preset's network beside the paper's, whatever the row's ablation."""
    own, paper = (asdict(preset_config(name, ())) for name in (recipe.preset, "paper"))
    lines = [] if recipe.preset == "paper" else [f"preset: {recipe.preset}, not paper"]
    differing = _differing(own, paper)
    return [*lines, f"network: {differing}"] if differing else lines


def _of_training(stage: str, own: TrainOptions, paper: TrainOptions) -> list[str]:
    differing = _differing(asdict(own), asdict(paper))
    return [f"{stage}: {differing}"] if differing else []


def _differing(own: dict[str, Any], paper: dict[str, Any]) -> str:
    return "; ".join(
        f"{name} {value!r}, not {paper[name]!r}"
        for name, value in own.items()
        if value != paper[name] and name not in _NOT_OF_THE_RECIPE
    )


def _of_weights(rows: tuple[Row, ...], faces: ExperimentData | None, recipe: Recipe) -> list[str]:
    lines = []
    init = (
        ""
        if faces is not None
        else next((start for row in rows if (start := recipe.training(row, None).init)), "")
    )
    if init == EMBEDDED:
        lines.append(
            "weights: init embedded, what comes with glee and was trained on renders, in place of "
            "FaceNet's and of a pre-training on FEC"
        )
    elif init:
        lines.append(f"weights: init {init}, a run that was pre-trained elsewhere")
    elif not recipe.facenet:
        lines.append("weights: random ones in both FaceNets, no --facenet was given")
    if faces is not None:
        lines += _of_training("pre-training", recipe.pretraining("full"), pretrain_options("paper"))
    elif not init and any(row.start for row in rows):
        lines.append("weights: not pre-trained, no shards of FEC were given")
    return lines
