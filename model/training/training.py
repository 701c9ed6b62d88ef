"""Training on Action Units (Eq. 5): folds, steps, checkpoints; read it from top to bottom.

A run's folder holds options.toml, split.json, data.json and shards.json (hashes) and for each fold
checkpoint.pt, log.csv and predictions.npz (of the fold's test subjects). A killed run goes on from
its last checkpoint and, on a CPU, ends with the same bits as an undisturbed one: every random
choice of a step (frames, crops, dropout) follows from the seed, the fold, the step and the
process's rank. Under torchrun or Slurm, several processes share each batch. A run that is refused
before its first step leaves no folder that looks like a run; `training_plan` says what `train`
would do.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import OptionsError, UsageError
from ...pipeline.shards.shard import list_shards, read_shard
from ..checkpoint import CHECKPOINT_FILE, load_checkpoint
from ..data.au_dataset import AUFrames, Batch, FExpSource, load_frames
from ..data.augmentation import stored_size
from ..data.batches import TrainingBatches, split_batch
from ..data.decoded_crops import exact_crops, with_decoded_crops, with_form
from ..data.folds import choose_split, training_frames
from ..data.person_specific import common_reference, relative_to_person
from ..data.provenance import fit_departures
from ..distributed import World, choose_device, joined_world, reproducible
from ..network.config import GLEENetConfig, preset_config
from ..network.glee_net import GLEENet
from ..network.identity_adversary import AdversarialPrediction, identity_loss
from ..options import OPTIONS_FILE, Schedule, TrainOptions, start_of, write_options
from ..prediction.predictions import (
    PREDICTIONS_FILE,
    network_input,
    predict_frames,
    save_predictions,
)
from .embed import identity_digest
from .losses import au_loss, occurrence_ratio
from .run_folder import DATA_FILE, SHARDS_FILE, SPLIT_FILE, remove_if_refused, write_data
from .state import TrainingState, new_network, new_state
from .steps import DEFAULT_RUNTIME, RuntimeOptions, last_loss, run_steps, seed_step

logger = logging.getLogger(__name__)

# Name of a fold that tests nobody: one network of all subjects, to predict other datasets.
EVERY_SUBJECT = "every"
ALONE = World()


@dataclass(frozen=True)
class FoldSummary:
    """What came of one fold.

    Attributes
    ----------
    name : str
        Of the fold.
    frames, test_frames : int
        Frames trained on, and tested.
    steps : int
        In all.
    loss : float
        Mean of the last epoch, Eq. 5.
    seconds : float
        Spent in this call.
    """

    name: str
    frames: int
    test_frames: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class TrainSummary:
    """What came of a run.

    Attributes
    ----------
    run : Path
        Its folder.
    folds : tuple of FoldSummary
        Those that were asked for.
    leads : bool
        This process writes the files.
    """

    run: Path
    folds: tuple[FoldSummary, ...]
    leads: bool = True


def train(
    work: Path,
    out: Path,
    options: TrainOptions,
    *,
    fold: str = "all",
    f_exp_source: FExpSource | None = None,
    device: str = "auto",
    runtime: RuntimeOptions = DEFAULT_RUNTIME,
) -> TrainSummary:
    """Train one fold or all; goes on where an earlier call with the same options stopped.

    Parameters
    ----------
    work : Path
        Folder with shards.
    out : Path
        The run's folder.
    options : TrainOptions
        Of the run.
    fold : str
        A name of the split, "all", or EVERY_SUBJECT.
    f_exp_source : FExpSource, optional
        Gives other coefficients than the shards hold.
    device : str
        "auto", "cpu" or "cuda".
    runtime : RuntimeOptions
        Worker processes and logs.

    Returns
    -------
    TrainSummary
        What came of it.

    Raises
    ------
    DataError
        For frames, labels or a split that cannot be used and for a loss that is not finite (naming
        the frames).
    OptionsError
        Where `out` was trained with other options or data.
    UsageError
        For an unknown fold.
    ShardError, WeightsError, OutputError
        For files.
    """
    config = preset_config(options.preset, (), options.ablation)
    frames = load_frames(
        work,
        size=stored_size(config.image_size),
        aus=options.aus or None,
        with_fit=config.coefficients,
        f_exp_source=f_exp_source,
        with_identity=options.identity == "cached",
        memory_limit=runtime.memory_limit,
    )
    if options.mirror and config.coefficients and frames.mirrored is None:
        logger.warning("no mirrored faces: %s's expressions have no sides", frames.fit_model)
        options = replace(options, mirror=False)
    config = replace(
        config, au_names=frames.au_names, coefficient_count=len(frames.expression_names)
    )
    file = Path(options.split) if options.split else None
    split = choose_split(
        frames.subjects, frames.dataset, seed=options.seed, count=options.folds, file=file
    )
    lost = sorted({shard.header.subject for shard in frames.shards} - set(frames.subjects))
    if lost:
        logger.warning("%s: in no fold, without a usable face: %s", work, ", ".join(lost))
    if fold not in ("all", EVERY_SUBJECT, *split):
        raise UsageError(f"unknown fold {fold!r}; choose one of {', '.join(split)} or all")
    own_f_exp = config.coefficients and f_exp_source is None
    otherwise = fit_departures(frames.shards) if options.preset == "paper" and own_f_exp else ()
    if otherwise:
        logger.warning("%s: fitted otherwise than the paper has it: %s", work, "; ".join(otherwise))
    stated = (OPTIONS_FILE, SPLIT_FILE, DATA_FILE, SHARDS_FILE)
    with (
        joined_world(device) as world,
        reproducible(options.deterministic),
        remove_if_refused(out, stated, leads=world.leads),
    ):
        chosen = choose_device(device, world, options.precision)
        world.check_batch(options.batch)
        options = with_form(options, out, frames, runtime.crop_file, world)
        if world.leads:
            write_options(out, options)
            write_data(out, frames, split, work=work, own_f_exp=own_f_exp)
            logger.info("%s: starts from %s", out, start_of(options))
        tested = {name: split.get(name, ()) for name in (split if fold == "all" else [fold])}
        counts = [len(training_frames(frames, test)) for test in tested.values()]
        places = runtime.of_folds([Schedule(options, count).total for count in counts])
        with with_decoded_crops(frames, options.crops, runtime.crop_file, world) as shown:
            folds = [
                train_fold(
                    shown, config, options, name, test, out / f"fold{name}", chosen, world, place
                )
                for (name, test), place in zip(tested.items(), places, strict=True)
            ]
    return TrainSummary(out, tuple(folds), world.leads)


def train_fold(
    frames: AUFrames,
    config: GLEENetConfig,
    options: TrainOptions,
    name: str,
    test_subjects: tuple[str, ...],
    folder: Path,
    device: torch.device,
    world: World = ALONE,
    runtime: RuntimeOptions = DEFAULT_RUNTIME,
) -> FoldSummary:
    """Train the network of one fold, as far as it is not, and predict its test subjects.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    config : GLEENetConfig
        Of the network.
    options : TrainOptions
        Of the run.
    name : str
        Of the fold.
    test_subjects : tuple of str
        Names; all others are trained on.
    folder : Path
        Of the fold.
    device : torch.device
        To train on.
    world : World
        The processes that share the training.
    runtime : RuntimeOptions
        Worker processes and logs.

    Returns
    -------
    FoldSummary
        What came of it.

    Raises
    ------
    DataError, OptionsError, WeightsError, OutputError
        As `train`.
    """
    began = time.perf_counter()
    indices = training_frames(frames, test_subjects)
    if options.identity_adversary:
        people = len(np.unique(frames.subject[indices]))
        config = replace(config, identities=people, identity_reversal=options.identity_adversary)
    path = folder / CHECKPOINT_FILE
    earlier = load_checkpoint(path) if path.exists() else None
    reference = common_reference(frames, indices) if options.person_specific else None
    if reference is not None:
        frames = relative_to_person(frames, reference)
    if earlier is not None and earlier.finished:
        logger.info("fold %s is trained already: %s", name, path)
        network = earlier.network().to(device)
    else:
        seed_step(options.seed, f"fold {name}")
        network = new_network(config, options, _f_exp_for_statistics(frames, indices, options))
        _check_identity(network, config, frames)
        state = new_state(
            network,
            config,
            options,
            device,
            world,
            train_subjects=tuple(sorted({str(subject) for subject in frames.subject[indices]})),
            test_subjects=test_subjects,
            dataset=frames.dataset,
            fit_model=frames.fit_model,
            reference=None if reference is None else torch.from_numpy(reference),
            provenance=frames.provenance.as_dict(),
        )
        if earlier is not None:
            state.resume(earlier)
            logger.info("fold %s goes on from step %d", name, state.step)
        learn_action_units(state, frames, indices, options, name, folder, runtime)
        network = state.final
    tested = frames.of_subjects(test_subjects)
    if world.leads:
        size = config.image_size
        shown = exact_crops(frames)
        predictions = predict_frames(network, shown, tested, image_size=size, device=device)
        save_predictions(folder / PREDICTIONS_FILE, predictions)
    world.wait()
    return FoldSummary(
        name=name,
        frames=len(indices),
        test_frames=len(tested),
        steps=Schedule(options, len(indices)).total,
        loss=last_loss(folder, options.epochs),
        seconds=time.perf_counter() - began,
    )


def learn_action_units(
    state: TrainingState,
    frames: AUFrames,
    indices: npt.NDArray[np.int64],
    options: TrainOptions,
    name: str,
    folder: Path,
    runtime: RuntimeOptions = DEFAULT_RUNTIME,
) -> None:
    """Take the steps that are left, on Eq. 5; r is of the frames trained on.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    frames : AUFrames
        All frames.
    indices : (n,) int64
        Frames to train on.
    options : TrainOptions
        Of the run.
    name : str
        Of the fold.
    folder : Path
        Of the fold.
    runtime : RuntimeOptions
        Worker processes and logs.
    """
    schedule = Schedule(options, len(indices))
    batches = TrainingBatches(
        frames, indices, state.config.image_size, options, schedule, state.world
    )
    ratio = torch.from_numpy(occurrence_ratio(frames.labels[indices])).float().to(state.device)

    _, subject = np.unique(frames.subject[indices], return_inverse=True)
    numbers = np.full(len(frames), -1, np.int64)
    numbers[indices] = subject

    def add_gradient(state: TrainingState, batch: Batch) -> Tensor:
        return add_au_gradient(state, batch, ratio, options, numbers)

    def frame_names(batch: Batch, chosen: npt.NDArray[np.bool_]) -> list[str]:
        return [frames.frame_name(int(index)) for index in batch.index[chosen]]

    run_steps(
        state,
        schedule,
        folder,
        f"fold {name}",
        make_batch=batches.of_step,
        add_gradient=add_gradient,
        frame_names=frame_names,
        runtime=runtime,
    )


def add_au_gradient(
    state: TrainingState,
    batch: Batch,
    ratio: Tensor,
    options: TrainOptions,
    numbers: npt.NDArray[np.int64],
) -> Tensor:
    """Add the gradient of a batch's mean loss to the network's.

    Parameters
    ----------
    state : TrainingState
        Of the training.
    batch : Batch
        b frames.
    ratio : (a,) float32
        r of Eq. 5.
    options : TrainOptions
        Of the run.
    numbers : (n,) int64
        Of each frame's subject, for the identity adversary.

    Returns
    -------
    (b,) float32
        Loss of each frame.
    """
    losses = []
    for share in split_batch(batch, options.accumulate):
        known = share.identity.shape[1] > 0
        identity = torch.from_numpy(share.identity).to(state.device).float() if known else None
        with state.autocast():
            prediction = state.parallel(*network_input(share, state.device), identity)
        labels = torch.from_numpy(share.labels).to(state.device)
        loss = au_loss(prediction, labels, ratio)
        if isinstance(prediction, AdversarialPrediction):
            subject = torch.from_numpy(numbers[share.index]).to(state.device)
            loss = loss + identity_loss(prediction.subject, subject)
        torch.autograd.backward(state.scaler.scale(loss.sum() / len(batch.index)))
        losses.append(loss.detach())
    return torch.cat(losses)


def _check_identity(network: GLEENet, config: GLEENetConfig, frames: AUFrames) -> None:
    """V_id that the shards keep must be of the very model that this network would ask."""
    if frames.identity is not None and identity_digest(network, config) != frames.identity_weights:
        raise OptionsError(
            "the identity features in the shards are of other weights than this network's; run "
            "`glee embed` with the same --facenet or --init, or train with --identity-branch live"
        )


def _f_exp_for_statistics(
    frames: AUFrames, indices: npt.NDArray[np.int64], options: TrainOptions
) -> npt.NDArray[np.float32]:
    """f_exp of the frames, and of their mirrored faces where training shows them."""
    f_exp = frames.f_exp[indices]
    if options.mirror and frames.mirrored is not None:
        return np.concatenate([f_exp, f_exp[:, frames.mirrored]])
    return f_exp


def training_plan(work: Path, out: Path, options: TrainOptions, fold: str = "all") -> list[str]:
    """Say in a line a fold what `train` would do; nothing is written and no crop is read.

    Parameters
    ----------
    work, out, options, fold
        As `train` takes them.

    Returns
    -------
    list of str
        Lines; the frames in them are the valid ones.

    Raises
    ------
    ShardError, DataError
        For shards or a split that cannot be used.
    UsageError
        For an unknown fold.
    """
    frames: Counter[str] = Counter()
    dataset = ""
    for path in list_shards(Path(work)):
        shard = read_shard(path, verify=False)
        dataset = dataset or shard.header.dataset
        frames[shard.header.subject] += int(shard.frames.valid.sum())
    split = choose_split(
        frames,
        dataset,
        seed=options.seed,
        count=options.folds,
        file=Path(options.split) if options.split else None,
    )
    if fold not in ("all", EVERY_SUBJECT, *split):
        raise UsageError(f"unknown fold {fold!r}; choose one of {', '.join(split)} or all")
    lines = [
        f"{dataset}: {len(frames)} subjects, {frames.total()} valid frames; preset "
        f"{options.preset}, {options.epochs} epochs, batches of {options.batch}, "
        f"starts from {start_of(options)} -> {out}"
    ]
    for name in split if fold == "all" else [fold]:
        tested = split.get(name, ())
        held = sum(frames[subject] for subject in tested)
        there = (Path(out) / f"fold{name}" / CHECKPOINT_FILE).exists()
        lines.append(
            f"fold {name}: train {len(frames) - len(tested)} subjects, {frames.total() - held} "
            f"frames; test {len(tested)} subjects, {held} frames"
            + ("; goes on from its checkpoint" if there else "")
        )
    return lines
