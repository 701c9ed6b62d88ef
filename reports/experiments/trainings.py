"""The trainings of an experiment: each is run, or goes on where an earlier call stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...model.checkpoint import CHECKPOINT_FILE
from ...model.data.au_dataset import load_frames
from ...model.data.augmentation import stored_size
from ...model.data.folds import choose_split
from ...model.distributed import World, choose_device
from ...model.network.config import preset_config
from ...model.options import RANDOM, TrainOptions, pretrain_options, train_options
from ...model.prediction.evaluation import evaluate, kept_predictions, measure
from ...model.prediction.left_out import SKIP
from ...model.prediction.predict import predict
from ...model.prediction.predictions import PREDICTIONS_FILE, Predictions, save_predictions
from ...model.training.linear_svm import (
    Features,
    coefficient_features,
    landmark_features,
    person_specific_coefficients,
    run_linear_svm,
)
from ...model.training.pretraining import pretrain
from ...model.training.run_folder import shown_digests, write_data
from ...model.training.training import EVERY_SUBJECT, train
from ...whole_files import write_whole
from .rows import ExperimentData, Row

logger = logging.getLogger(__name__)

RUNS, PRETRAINING = "runs", "pretraining"
# What kept predictions of another dataset are of.
SOURCE_FILE = "source.json"
# The predictions of one subject after the other, until all are there.
PARTS = "parts"
# What --quick leaves of a training: enough to see that all of it works, not to measure anything.
QUICK_EPOCHS, QUICK_TRIPLETS = 1, 60
QUICK_FOLD = "1"


@dataclass(frozen=True)
class Recipe:
    """How an experiment trains.

    Attributes
    ----------
    preset : str
        "paper" or "compact".
    seed : int
        Of every training.
    quick : bool
        One epoch of one fold.
    device : str
        "auto", "cpu" or "cuda".
    facenet, split : str
        Paths, "" for none.
    changes : mapping
        Of the training options, for every row; epochs and batch of the pre-training too.
    missing : str
        What becomes of labelled frames without a usable face, as `measure` takes it.
    """

    preset: str
    seed: int
    quick: bool
    device: str
    facenet: str
    split: str
    changes: Mapping[str, Any]
    missing: str = SKIP

    @property
    def fold(self) -> str:
        """Folds to train: all, or one where it is to be quick."""
        return QUICK_FOLD if self.quick else "all"

    def training(self, row: Row, start: Path | None) -> TrainOptions:
        """Give the options of a row's training.

        Parameters
        ----------
        row : Row
            To train.
        start : Path or None
            Pre-trained run.

        Returns
        -------
        TrainOptions
            The preset's recipe with the changes; `init` among them, and what comes with glee, are
            of rows that start from a pre-training, where there is none.
        """
        init = str(start) if start else self.changes.get("init") if row.start else RANDOM
        return train_options(
            self.preset,
            ablation=row.ablation,
            seed=self.seed,
            split=self.split or None,
            facenet=(self.facenet or None) if start is None and _has_facenet(row) else None,
            **{"epochs": QUICK_EPOCHS if self.quick else None, **self.changes, "init": init},
        )

    def pretraining(self, ablation: str) -> TrainOptions:
        """Give the options of the pre-training of an `ablation`."""
        return pretrain_options(
            self.preset,
            ablation=ablation,
            seed=self.seed,
            facenet=self.facenet or None,
            triplets=QUICK_TRIPLETS if self.quick else None,
            most_triplets=QUICK_TRIPLETS if self.quick else None,
            **{"epochs": QUICK_EPOCHS if self.quick else None, **self._passes},
        )

    @property
    def _passes(self) -> dict[str, Any]:
        """Those changes that mean the same in the pre-training."""
        return {key: self.changes[key] for key in ("epochs", "batch") if key in self.changes}


def _has_facenet(row: Row) -> bool:
    return preset_config("paper", (), row.ablation).expression in ("global_local", "global")


def pretrained(row: Row, faces: ExperimentData | None, out: Path, recipe: Recipe) -> Path | None:
    """Find the pre-trained run that a row starts from; it is trained now if need be.

    Parameters
    ----------
    row : Row
        To train.
    faces : ExperimentData or None
        FEC's shards.
    out : Path
        The experiment's folder.
    recipe : Recipe
        How to train.

    Returns
    -------
    Path or None
        Its folder; None where the row starts from none.
    """
    if not row.start or faces is None:
        return None
    run = out / PRETRAINING / row.start
    logger.info("pre-training of %s", row.name)
    pretrain(faces.folder, run, recipe.pretraining(row.start), device=recipe.device)
    return run


def start_notes(
    rows: Iterable[Row], faces: ExperimentData | None, recipe: Recipe
) -> tuple[str, ...]:
    """Say which of the paper's weights an experiment starts without.

    Parameters
    ----------
    rows : iterable of Row
        That are trained.
    faces : ExperimentData or None
        FEC's shards.
    recipe : Recipe
        How the rows are trained.

    Returns
    -------
    tuple of str
        A sentence each, () where none lacks.
    """
    notes = []
    if faces is None and any(row.start for row in rows):
        notes.append(
            "NOT PRE-TRAINED: no shards of FEC were given, so every row starts without the "
            "paper's pre-training; name them with --work."
        )
    if not recipe.facenet:
        notes.append("Both FaceNets start from random weights: no --facenet was given.")
    return tuple(notes)


def trained(
    row: Row, work: ExperimentData, start: Path | None, out: Path, recipe: Recipe
) -> dict[str, Any]:
    """Train a row, as far as it is not, and test it on the folds' subjects.

    Parameters
    ----------
    row : Row
        To train.
    work : ExperimentData
        Trained and tested on.
    start : Path or None
        Pre-trained run.
    out : Path
        The experiment's folder.
    recipe : Recipe
        How to train.

    Returns
    -------
    dict
        As `evaluate` gives it.
    """
    run = run_folder(out, work, row)
    logger.info("%s: %s", row.name, run)
    options = recipe.training(row, start)
    train(work.folder, run, options, fold=recipe.fold, device=recipe.device)
    return evaluate(run, missing=recipe.missing).results


def trained_across(
    row: Row,
    work: ExperimentData,
    tested: ExperimentData,
    start: Path | None,
    out: Path,
    recipe: Recipe,
) -> dict[str, Any]:
    """Train a row on all subjects of one dataset, and test it on another dataset.

    Parameters
    ----------
    row : Row
        To train.
    work, tested : ExperimentData
        Trained on, and tested on.
    start : Path or None
        Pre-trained run.
    out : Path
        The experiment's folder.
    recipe : Recipe
        How to train.

    Returns
    -------
    dict
        As `evaluate` gives it.
    """
    run = run_folder(out, work, row).with_name(f"{row.folder}-{EVERY_SUBJECT}-subject")
    logger.info("%s: %s", row.name, run)
    options = recipe.training(row, start)
    train(work.folder, run, options, fold=EVERY_SUBJECT, device=recipe.device)
    return measure(_predicted(run, tested, recipe.device), missing=recipe.missing)


def _predicted(run: Path, tested: ExperimentData, device: str) -> dict[str, Predictions]:
    """A run's predictions of another dataset; kept beside it, until either of them changes.

    Those of each subject are kept as they come, so that a killed call goes on with the next one.
    """
    kept = run.with_name(f"{run.name}-on-{tested.dataset}")
    own = {path.parent.name: file_digest(path) for path in sorted(run.glob(f"*/{CHECKPOINT_FILE}"))}
    source = {"checkpoints": own, "shards": shown_digests(tested.folder)}
    text = json.dumps(source, indent=1).encode()
    stated = kept / SOURCE_FILE
    if stated.exists() and stated.read_bytes() == text:
        logger.info("predicted already: %s", kept)
        return kept_predictions(kept)
    if stated.exists():
        logger.warning("%s: the network or %s changed since; predicted again", kept, tested.folder)
        stated.unlink()
    parts = _parts(kept, source, device)
    predictions = predict(run, tested.folder, labelled=True, device=device, parts=parts)
    for file in kept.glob(f"fold*/{PREDICTIONS_FILE}"):
        file.unlink()
    for name, one in predictions.items():
        save_predictions(kept / f"fold{name}" / PREDICTIONS_FILE, one)
    write_whole(stated, text)
    shutil.rmtree(parts)
    return predictions


def _parts(kept: Path, source: Mapping[str, Any], device: str) -> Path:
    """Folder of the subjects' predictions, empty unless a killed call left some of the same."""
    parts = kept / PARTS
    computed_on = choose_device(device, World()).type
    text = json.dumps({**source, "device": computed_on}, indent=1).encode()
    stated = parts / SOURCE_FILE
    if not stated.exists() or stated.read_bytes() != text:
        shutil.rmtree(parts, ignore_errors=True)
        write_whole(stated, text)
    return parts


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def svm_baselines(work: ExperimentData, out: Path, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Train and test the linear SVMs on the same folds.

    Parameters
    ----------
    work : ExperimentData
        Trained and tested on.
    out : Path
        The experiment's folder.
    recipe : Recipe
        How to train.

    Returns
    -------
    dict of str to dict
        By name, as `evaluate` gives it.
    """
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
        # Predictions that are there are kept, so they must be of these very frames.
        write_data(run, frames, split, work=work.folder, own_f_exp=True)
        run_linear_svm(frames, features, split, run, seed=recipe.seed, folds=folds)
        results[name] = evaluate(run, missing=recipe.missing).results
    return results


def run_folder(out: Path, work: ExperimentData, row: Row) -> Path:
    """Say where a row's run lies; experiments with the same `out` share it.

    Parameters
    ----------
    out : Path
        The experiment's folder.
    work : ExperimentData
        Trained on.
    row : Row
        That is trained.

    Returns
    -------
    Path
        The run's folder.
    """
    return out / RUNS / work.dataset / row.folder


def first_fold(out: Path, work: ExperimentData, row: Row) -> Path:
    """Find the folder of a row's first fold.

    Parameters
    ----------
    out, work, row
        As `run_folder` takes them.

    Returns
    -------
    Path
        The fold's folder.

    Raises
    ------
    DataError
        Where it has none.
    """
    folds = sorted(run_folder(out, work, row).glob("fold[0-9]*"))
    if not folds:
        raise DataError(f"{out}: {row.name} is not trained; run the experiment again")
    return folds[0]
