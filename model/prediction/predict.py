"""AU probabilities of shards, videos or images, with nothing but a trained run.

No frame is predicted by a network that was trained on its subject.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ...errors import DataError, near_path
from ...fitting.morphable_model.model_file import load_model, model_digest
from ...pipeline.fit3d import fit3d
from ...pipeline.options import Fit3dOptions, PreprocessOptions
from ...pipeline.preprocess import preprocess
from ...pipeline.shards.shard import REASONS, SHARD_FOLDER, list_shards, read_shard
from ..checkpoint import CHECKPOINT_FILE, Checkpoint, load_checkpoint
from ..data.au_dataset import AUFrames, FExpSource, load_frames, same_people
from ..data.augmentation import stored_size
from ..data.person_specific import relative_to_person
from ..data.provenance import Provenance, check_provenance
from ..distributed import World, choose_device
from ..network.glee_net import GLEENet
from ..packed_run import read_packed_run
from ..training.run_folder import SHARDS_FILE
from .predictions import (
    Predictions,
    joined_predictions,
    load_predictions,
    predict_frames,
    save_predictions,
)

logger = logging.getLogger(__name__)

# Stands in a fold's place for predictions that all folds' networks made together.
UNSEEN = "unseen"


@dataclass(frozen=True)
class PredictionTable:
    """Predictions for a table program.

    Attributes
    ----------
    text : str
        CSV, a row for every frame.
    frames : int
        Predicted.
    invalid : int
        Frames without a face.
    """

    text: str
    frames: int
    invalid: int


def predict_table(
    run: Path,
    source: Path,
    *,
    work: Path | None = None,
    model: Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> PredictionTable:
    """Predict a video, an image, a folder of both, or a folder with shards.

    Videos and images go through `preprocess` and `fit3d` with the options that the run's training
    frames went through.

    Parameters
    ----------
    run : Path
        Folder of a training, or a packed run.
    source : Path
        What to predict.
    work : Path, optional
        Folder to keep the shards in; None throws them away.
    model : Path, optional
        The morphable model, where the run's is not the embedded one.
    workers : int, optional
        Processes, None for one a core.
    device : str
        "auto", "cpu" or "cuda".
    progress : bool
        Show bars.

    Returns
    -------
    PredictionTable
        See `prediction_table`.

    Raises
    ------
    DataError
        Where the source is missing, or the morphable model is another than the run's.
    GleeError
        What `predict`, `preprocess` and `fit3d` raise.
    """
    if (source / SHARD_FOLDER).is_dir():
        return prediction_table(predict(run, source, device=device), source)
    if not source.exists():
        raise DataError(
            f"{source}: no such file or folder; {near_path(source)}"
            f"give a video, an image or a folder"
        )
    checkpoint = next(iter(load_run(run).values()))
    trained = run_provenance(checkpoint)
    fit = _fit_options(trained, model) if checkpoint.config.coefficients else None
    with _folder(work) as folder:
        preprocess(
            "folder",
            source,
            folder,
            options=_preprocess_options(trained),
            workers=workers,
            progress=progress,
        )
        for name in _of_the_runs_own_names(run, folder):
            logger.warning(
                "%s: the run's own data has a clip of this name; if it is that one, these are no "
                "figures of an unseen person (predict the run's work folder for those)",
                name,
            )
        if fit is not None:
            fit3d(folder, options=fit, workers=workers, progress=progress)
        return prediction_table(predict(run, folder, device=device), folder)


def prediction_table(predictions: dict[str, Predictions], work: Path) -> PredictionTable:
    """Write predictions as CSV.

    Its columns are part (the fold, or "unseen"), subject, clip, frame_id, reason, then a
    probability for each AU. A frame that is not valid has its reason and no probabilities.

    Parameters
    ----------
    predictions : dict of str to Predictions
        As `predict` returns them.
    work : Path
        The folder with the shards that were predicted.

    Returns
    -------
    PredictionTable
        The table.

    Raises
    ------
    ShardError
        Where a shard is damaged.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    aus = next(iter(predictions.values())).au_names
    writer.writerow(["part", "subject", "clip", "frame_id", "reason", *aus])
    frames, invalid = 0, 0
    shards = {path.relative_to(work / SHARD_FOLDER).as_posix(): path for path in list_shards(work)}
    for fold, predicted in predictions.items():
        known = {
            (shard, row): probability
            for shard, row, probability in zip(
                predicted.shard.tolist(),
                predicted.row.tolist(),
                predicted.probability.tolist(),
                strict=True,
            )
        }
        subjects = {str(subject) for subject in predicted.subject}
        for name in (name for name in shards if name.split("/")[0] in subjects):
            shard = read_shard(shards[name], verify=False)
            subject, clip = shard.header.subject, shard.header.clip
            for row, frame_id in enumerate(shard.frames.frame_id.tolist()):
                reason = REASONS[int(shard.frames.reason[row])]
                values = [f"{value:.4f}" for value in known.get((name, row), ())]
                frames, invalid = frames + bool(values), invalid + (not values)
                cells = values or [""] * len(aus)
                writer.writerow([fold, subject, clip, frame_id, reason, *cells])
    return PredictionTable(text.getvalue(), frames, invalid)


def _of_the_runs_own_names(run: Path, folder: Path) -> list[str]:
    """Clips of a folder that are called as one that the run was made of; none of a packed run."""
    try:
        stated = json.loads((Path(run) / SHARDS_FILE).read_text(encoding="utf-8"))["sha256"]
        own = {str(shard).split("/")[1] for shard in stated}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return []
    return sorted(own & {path.parent.name for path in list_shards(folder)})


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        yield work
        return
    with TemporaryDirectory(prefix="glee-") as folder:
        yield Path(folder)


def _preprocess_options(trained: Provenance) -> PreprocessOptions:
    known = {item.name for item in fields(PreprocessOptions)}
    return replace(
        PreprocessOptions(),
        **{name: value for name, value in trained.preprocess.items() if name in known},
    )


def _fit_options(trained: Provenance, model: Path | None) -> Fit3dOptions:
    """The options of the run's fit, but for the focal length, which is the camera's."""
    digest = model_digest(load_model(model))
    if trained.model_sha256 and digest != trained.model_sha256:
        which = "the embedded morphable model" if model is None else str(model)
        raise DataError(
            f"{which} ({digest[:12]}) is not the one that the network was trained with, "
            f"{trained.model!r} ({trained.model_sha256[:12]}); give that with --model"
        )
    known = {item.name for item in fields(Fit3dOptions)}
    options = {name: value for name, value in trained.fit3d.items() if name in known}
    return replace(
        Fit3dOptions(),
        **{**options, "focal": None, "model": None if model is None else str(model)},
    )


def predict(
    run: Path,
    work: Path,
    *,
    labelled: bool = False,
    f_exp_source: FExpSource | None = None,
    device: str = "cpu",
    parts: Path | None = None,
) -> dict[str, Predictions]:
    """Predict all valid frames by the networks that were not trained on the subject.

    Subjects that every network was trained on are left out, with a warning.

    Parameters
    ----------
    run : Path
        Folder of a training, or a packed run.
    work : Path
        Folder with shards.
    labelled : bool
        The frames must have labels.
    f_exp_source : FExpSource, optional
        Takes the place of the shards' own f_exp.
    device : str
        "auto", "cpu" or "cuda".
    parts : Path, optional
        Folder in which each subject's predictions are kept as they come. Those that lie there are
        taken as they are, so that it must be of this run, these shards and this device.

    Returns
    -------
    dict of str to Predictions
        For each fold the frames of its test subjects, and as "unseen" those of subjects that no
        fold was trained on (or of a dataset with other people), with the mean probability of all
        folds.

    Raises
    ------
    DataError
        Where no fold is trained, nothing is left to predict, or f_exp was fitted with another
        morphable model.
    WeightsError, ShardError
        For files.
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
    everybody = {shard.header.subject for shard in frames.shards} if labelled else frames.subjects
    for subject in sorted(everybody):
        subjects[_fold_of(subject, frames.dataset, checkpoints)].append(subject)
    if left_out := subjects.pop("", []):
        logger.warning("%s: every network was trained on %s; left out", run, ", ".join(left_out))
    if not subjects:
        raise DataError(f"{work}: the networks of {run} were trained on all its subjects")
    chosen, predictions = choose_device(device, World()), {}
    for fold, members in sorted(subjects.items()):
        networks = _networks_of(fold, checkpoints, frames, chosen)
        if parts is None:
            predictions[fold] = _mean_of(networks, members, chosen)
        else:
            predictions[fold] = _subject_by_subject(networks, members, chosen, parts / fold)
    return predictions


def load_run(run: Path) -> dict[str, Checkpoint]:
    """Read the finished checkpoints of a run.

    Parameters
    ----------
    run : Path
        Folder of a training, or a packed run.

    Returns
    -------
    dict of str to Checkpoint
        By fold.

    Raises
    ------
    DataError
        Where there are none.
    WeightsError
        Where one cannot be read.
    """
    if Path(run).is_file():
        return read_packed_run(Path(run)).folds
    found = {
        path.parent.name.removeprefix("fold"): load_checkpoint(path)
        for path in sorted(Path(run).glob(f"fold*/{CHECKPOINT_FILE}"))
    }
    finished = {name: checkpoint for name, checkpoint in found.items() if checkpoint.finished}
    if not finished:
        raise no_run(Path(run))
    return finished


def no_run(run: Path) -> DataError:
    """Say that a folder holds no trained network, and what to give instead.

    Parameters
    ----------
    run : Path
        The folder, which need not be there.
    """
    if not run.exists():
        return DataError(
            f"{run}: no such folder; give a run, such as WORK/runs/compact, which "
            "`glee train WORK` makes"
        )
    return DataError(f"{run}: no fold is trained; run `glee train` with this folder first")


def _fold_of(subject: str, dataset: str, checkpoints: dict[str, Checkpoint]) -> str:
    """Fold that tests a subject; UNSEEN where no fold knows it; "" where all trained on it."""
    own = {name: c for name, c in checkpoints.items() if same_people(c.dataset, dataset)}
    for name, item in own.items():
        if subject in item.test_subjects:
            return name
    return "" if any(subject in item.train_subjects for item in own.values()) else UNSEEN


@dataclass(frozen=True, eq=False)
class _Network:
    """A trained network, and the frames as it wants them."""

    network: GLEENet
    frames: AUFrames
    size: int


def _networks_of(
    fold: str, checkpoints: dict[str, Checkpoint], frames: AUFrames, device: torch.device
) -> list[_Network]:
    """The networks that predict a fold's subjects, of frames made as those of their training."""
    networks = []
    for checkpoint in checkpoints.values() if fold == UNSEEN else [checkpoints[fold]]:
        check_provenance(
            run_provenance(checkpoint),
            frames.provenance,
            coefficients=checkpoint.config.coefficients,
        )
        own = frames
        if checkpoint.reference is not None:
            own = relative_to_person(frames, checkpoint.reference.numpy())
        network = checkpoint.network().to(device)
        networks.append(_Network(network, own, checkpoint.config.image_size))
    return networks


def _mean_of(networks: list[_Network], members: list[str], device: torch.device) -> Predictions:
    """The networks' mean prediction of some subjects."""
    each = [
        predict_frames(
            one.network,
            one.frames,
            one.frames.of_subjects(members),
            image_size=one.size,
            device=device,
            subjects=members,
        )
        for one in networks
    ]
    mean = np.mean([item.probability for item in each], axis=0, dtype=np.float64)
    return replace(each[0], probability=np.asarray(mean, np.float32))


def _subject_by_subject(
    networks: list[_Network], members: list[str], device: torch.device, parts: Path
) -> Predictions:
    """The same, each subject's kept as it comes, and taken from there where it has come before."""
    each = []
    for member in members:
        path = parts / f"{member}.npz"
        try:
            one = load_predictions(path)
        except DataError:
            one = _mean_of(networks, [member], device)
            save_predictions(path, one)
        each.append(one)
    return joined_predictions(each)


def run_provenance(checkpoint: Checkpoint) -> Provenance:
    """Say how a network's training frames were made, as far as its checkpoint says.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of one fold.

    Returns
    -------
    Provenance
        Of its training frames.

    Raises
    ------
    DataError
        Where the checkpoint says what this version does not know.
    """
    try:
        return Provenance(**{"model": checkpoint.fit_model, **checkpoint.provenance})
    except TypeError as error:
        raise DataError(
            f"the run was trained by another version of glee ({error}); train again"
        ) from error
