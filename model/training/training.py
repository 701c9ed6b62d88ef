"""train(): folds, Eq. 5; what it would do; what is withdrawn.

Training on Action Units: folds, steps, checkpoints; read it from top to bottom.

A run's folder holds options.toml, split.json, data.json (a hash) and for each fold a folder with
checkpoint.pt, log.csv and predictions.npz (of the fold's test subjects). A killed run goes on from
its last checkpoint and, on a CPU, ends with the same bits as an undisturbed one: every random
choice of a step (frames, crops, dropout) follows from the seed, the fold, the step and the
process's rank. Under torchrun or Slurm, several processes share each batch.

What a training would do: folds with their subjects and frames, the state of the run's folder.

A training run that is refused before its first step leaves no folder that looks like a run.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import DataError, GleeError, OptionsError, UsageError
from ...pipeline.shards.shard import list_shards, read_shard
from ...whole_files import write_whole
from ..checkpoint import CHECKPOINT_FILE, load_checkpoint
from ..data.au_dataset import MEMORY_LIMIT, AUFrames, Batch, FExpSource, load_frames
from ..data.augmentation import stored_size
from ..data.batches import TrainingBatches, split_batch
from ..data.folds import Split, choose_split
from ..data.person_specific import common_reference, relative_to_person
from ..distributed import World, choose_device, joined_world, reproducible
from ..network.config import GLEENetConfig, preset_config
from ..network.glee_net import GLEENet
from ..network.identity_adversary import AdversarialPrediction, identity_loss
from ..options import OPTIONS_FILE, Schedule, TrainOptions, write_options
from ..prediction.predictions import (
    PREDICTIONS_FILE,
    network_input,
    predict_frames,
    save_predictions,
)
from .embed import identity_digest
from .losses import au_loss, occurrence_ratio
from .state import TrainingState, new_network, new_state
from .steps import PLAIN, Surroundings, last_loss, run_steps, seed_step

logger = logging.getLogger(__name__)

SPLIT_FILE = "split.json"
DATA_FILE = "data.json"
# Name of a fold that tests nobody: one network of all subjects, to predict other datasets.
EVERY_SUBJECT = "every"
ALONE = World()


@dataclass(frozen=True)
class FoldSummary:
    """One fold: frames trained on, frames tested, steps in all, mean loss of the last epoch.

    seconds: spent in this call.
    """

    name: str
    frames: int
    test_frames: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class TrainSummary:
    """A run's folder and the folds that were asked for. leads: this process writes the files."""

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
    around: Surroundings = PLAIN,
) -> TrainSummary:
    """Train one fold or all; goes on where an earlier call with the same options stopped.

    work: folder with shards. out: the run's folder. fold: a name of the split, "all", or
    EVERY_SUBJECT.
    f_exp_source: gives other coefficients than the shards hold. device: "auto", "cpu", "cuda".
    around: worker processes and logs.

    Raises DataError for frames, labels or a split that cannot be used and for a loss that is not
    finite (naming the frames), OptionsError where `out` was trained with other options or data,
    UsageError for an unknown fold, ShardError, WeightsError and OutputError for files.
    """
    config = preset_config(options.preset, (), options.ablation)
    frames = load_frames(
        work,
        size=stored_size(config.image_size),
        aus=options.aus or None,
        with_fit=config.coefficients,
        f_exp_source=f_exp_source,
        with_identity=options.identity == "cached",
        # processes share no memory with this one, and remember what they read themselves
        memory_limit=0 if around.workers else MEMORY_LIMIT,
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
    if fold not in ("all", EVERY_SUBJECT, *split):
        raise UsageError(f"unknown fold {fold!r}; choose one of {', '.join(split)} or all")
    stated = (OPTIONS_FILE, SPLIT_FILE, DATA_FILE)
    with (
        joined_world(device) as world,
        reproducible(options.deterministic),
        withdrawn_where_refused(out, stated, leads=world.leads),
    ):
        where = choose_device(device, world, options.precision)
        world.check_batch(options.batch)
        if world.leads:
            write_options(out, options)
            _write_data(out, frames, split)
        folds = [
            train_fold(
                frames,
                config,
                options,
                name,
                split.get(name, ()),
                out / f"fold{name}",
                where,
                world,
                around,
            )
            for name in (split if fold == "all" else [fold])
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
    around: Surroundings = PLAIN,
) -> FoldSummary:
    """Train the network of one fold, as far as it is not, and predict its test subjects."""
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
        network = new_network(config, options, _f_exp_to_be_seen(frames, indices, options))
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
        learn_action_units(state, frames, indices, options, name, folder, around)
        network = state.final
    tested = frames.of_subjects(test_subjects)
    if world.leads:
        size = config.image_size
        predictions = predict_frames(network, frames, tested, image_size=size, device=device)
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
    around: Surroundings = PLAIN,
) -> None:
    """Take the steps that are left, on Eq. 5; r is of the frames trained on."""
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
        around=around,
    )


def add_au_gradient(
    state: TrainingState,
    batch: Batch,
    ratio: Tensor,
    options: TrainOptions,
    numbers: npt.NDArray[np.int64],
) -> Tensor:
    """Add the gradient of a batch's mean loss; returns the loss of each frame (b,).

    ratio: (a,), r of Eq. 5. numbers: of each frame's subject, for the identity adversary.
    """
    losses = []
    for part in split_batch(batch, options.accumulate):
        known = part.identity.shape[1] > 0
        identity = torch.from_numpy(part.identity).to(state.device).float() if known else None
        with state.autocast():
            prediction = state.parallel(*network_input(part, state.device), identity)
        labels = torch.from_numpy(part.labels).to(state.device)
        loss = au_loss(prediction, labels, ratio)
        if isinstance(prediction, AdversarialPrediction):
            subject = torch.from_numpy(numbers[part.index]).to(state.device)
            loss = loss + identity_loss(prediction.subject, subject)
        torch.autograd.backward(state.scaler.scale(loss.sum() / len(batch.index)))
        losses.append(loss.detach())
    return torch.cat(losses)


def _write_data(out: Path, frames: AUFrames, split: Split) -> None:
    """Write what a run learns from once, or check that a run to go on with has the same."""
    data = {"frames": len(frames), "sha256": frames.fingerprint}
    for file, content in ((SPLIT_FILE, split), (DATA_FILE, data)):
        text = json.dumps(content, indent=1).encode()
        path = out / file
        if path.exists() and path.read_bytes() != text:
            raise OptionsError(
                f"{out}: was trained on other frames, labels, f_exp or folds ({file} differs); "
                "choose another folder"
            )
        write_whole(path, text)


def training_frames(frames: AUFrames, test_subjects: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Indices of the frames to train on: not of the test subjects, with a known label.

    Raises DataError where there are fewer than two.
    """
    indices = frames.of_subjects(set(frames.subjects) - set(test_subjects))
    indices = indices[(frames.labels[indices] >= 0).any(1)]
    if len(indices) < 2:
        raise DataError(
            f"{len(indices)} labelled frames to train on beside {', '.join(test_subjects)}; "
            "preprocess more subjects"
        )
    return indices


def _check_identity(network: GLEENet, config: GLEENetConfig, frames: AUFrames) -> None:
    """V_id that the shards keep must be of the very model that this network would ask."""
    if frames.identity is not None and identity_digest(network, config) != frames.identity_weights:
        raise OptionsError(
            "the identity features in the shards are of other weights than this network's; run "
            "`glee embed` with the same --facenet or --init, or train with --identity live"
        )


def _f_exp_to_be_seen(
    frames: AUFrames, indices: npt.NDArray[np.int64], options: TrainOptions
) -> npt.NDArray[np.float32]:
    """f_exp of the frames, and of their mirrored faces where training shows them."""
    f_exp = frames.f_exp[indices]
    if options.mirror and frames.mirrored is not None:
        return np.concatenate([f_exp, f_exp[:, frames.mirrored]])
    return f_exp


def training_plan(work: Path, out: Path, options: TrainOptions, fold: str = "all") -> list[str]:
    """A line a fold that `train` would train; nothing is written and no crop is read.

    work, out, options, fold: as `training.train` takes them. Frames are the valid ones.

    Raises ShardError, DataError for shards or a split that cannot be used, UsageError for an
    unknown fold.
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
        f"{options.preset}, {options.epochs} epochs, batches of {options.batch} -> {out}"
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


@contextmanager
def withdrawn_where_refused(run: Path, stated: tuple[str, ...], *, leads: bool) -> Iterator[None]:
    """Remove what a run states of itself where it ends in a GleeError and trained nothing.

    run: its folder. stated: names of the files that are written before training; those that were
    there already stay. leads: whether this process writes the files.
    """
    was_there = run.exists()
    new = [run / name for name in stated if not (run / name).exists()]
    try:
        yield
    except GleeError:
        files = [path for path in run.rglob("*") if path.is_file()]
        if leads and new and set(files) <= set(new):
            for path in files:
                path.unlink()
            folders = [path for path in run.rglob("*") if path.is_dir()]
            for folder in sorted(folders, reverse=True):
                folder.rmdir()
            if not was_there and run.exists():
                run.rmdir()
        raise
