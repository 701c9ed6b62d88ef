"""Predict the frames of a work folder with a trained run, never with a network that saw them."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..errors import DataError
from .checkpoint import CHECKPOINT_FILE, Checkpoint, load_checkpoint
from .data.au_dataset import AUFrames, FExpSource, load_frames
from .data.augmentation import stored_size
from .data.person_specific import relative_to_person
from .data.provenance import Provenance, check_provenance
from .dataset_facts import same_people
from .decision import Decision
from .prediction.predictions import Predictions, predict_frames

logger = logging.getLogger(__name__)

# Part of the predictions that several folds' networks made together.
UNSEEN = "unseen"


def predict(
    run: Path,
    work: Path,
    *,
    labelled: bool = False,
    f_exp_source: FExpSource | None = None,
    device: str = "cpu",
) -> dict[str, Predictions]:
    """AU probabilities of all valid frames, by the networks that were not trained on the subject.

    run: folder of a training. work: folder with shards. labelled: the frames must have labels.
    Returns for each fold the frames of its test subjects, and as "unseen" those of subjects that no
    fold was trained on (or of a dataset with other people), with the mean probability of all folds.
    Subjects that every network was trained on are left out, with a warning.

    Raises DataError where no fold is trained, nothing is left to predict, or f_exp was fitted with
    another morphable model; WeightsError and ShardError for files.
    """
    checkpoints = load_run(run)
    config = next(iter(checkpoints.values())).config
    frames = load_frames(
        work,
        size=stored_size(config.image_size),
        aus=[int(name.removeprefix("AU")) for name in config.au_names],
        with_fit=config.coefficients,
        f_exp_source=f_exp_source,
        labelled=labelled,
    )
    subjects: dict[str, list[str]] = defaultdict(list)
    for subject in frames.subjects:
        subjects[_part_of(subject, frames.dataset, checkpoints)].append(subject)
    if left_out := subjects.pop("", []):
        logger.warning("%s: every network was trained on %s; left out", run, ", ".join(left_out))
    if not subjects:
        raise DataError(f"{work}: the networks of {run} were trained on all its subjects")
    return {
        part: _predict_part(part, members, checkpoints, frames, torch.device(device))
        for part, members in sorted(subjects.items())
    }


def load_run(run: Path) -> dict[str, Checkpoint]:
    """The finished checkpoints of a run, by fold. Raises DataError where there are none."""
    found = {
        path.parent.name.removeprefix("fold"): load_checkpoint(path)
        for path in sorted(Path(run).glob(f"fold*/{CHECKPOINT_FILE}"))
    }
    finished = {name: checkpoint for name, checkpoint in found.items() if checkpoint.finished}
    if not finished:
        raise DataError(f"{run}: no fold is trained; run `glee train` with this folder first")
    return finished


def _part_of(subject: str, dataset: str, checkpoints: dict[str, Checkpoint]) -> str:
    """Fold that tests a subject; UNSEEN where no fold knows it; "" where all trained on it."""
    own = {name: c for name, c in checkpoints.items() if same_people(c.dataset, dataset)}
    for name, item in own.items():
        if subject in item.test_subjects:
            return name
    return "" if any(subject in item.train_subjects for item in own.values()) else UNSEEN


def _predict_part(
    part: str,
    members: list[str],
    checkpoints: dict[str, Checkpoint],
    frames: AUFrames,
    device: torch.device,
) -> Predictions:
    chosen = list(checkpoints.values()) if part == UNSEEN else [checkpoints[part]]
    index = frames.of_subjects(members)
    each = []
    for checkpoint in chosen:
        check_provenance(
            run_provenance(checkpoint),
            frames.provenance,
            coefficients=checkpoint.config.coefficients,
        )
        own = frames
        if checkpoint.reference is not None:
            own = relative_to_person(frames, checkpoint.reference.numpy())
        network = checkpoint.network().to(device)
        size = checkpoint.config.image_size
        predictions = predict_frames(network, own, index, image_size=size, device=device)
        each.append(Decision.of_tensors(checkpoint.decision)(predictions))
    mean = np.mean([item.probability for item in each], axis=0, dtype=np.float64)
    return replace(each[0], probability=np.asarray(mean, np.float32))


def run_provenance(checkpoint: Checkpoint) -> Provenance:
    """How a network's training frames were made, as far as its checkpoint says.

    Raises DataError where the checkpoint says what this version does not know.
    """
    try:
        return Provenance(**{"model": checkpoint.fit_model, **checkpoint.provenance})
    except TypeError as error:
        raise DataError(
            f"the run was trained by another version of glee ({error}); train again"
        ) from error
