"""Training on Action Units: folds, steps, checkpoints; read it from top to bottom.

A run's folder holds options.toml, split.json and for each fold a folder with checkpoint.pt,
log.csv and predictions.npz (of the fold's test subjects). A killed run goes on from its last
checkpoint and, on a CPU, ends with the same bits as an undisturbed one: every random choice of a
step (frames, crops, dropout) follows from the seed, the fold, the step and the process's rank.
Under torchrun or Slurm, several processes share each batch.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import DataError, UsageError
from ..pipeline.whole_files import write_whole
from .au_dataset import AUFrames, Batch, FExpSource, load_frames
from .augmentation import stored_size
from .batches import split_batch, training_batches
from .checkpoint import CHECKPOINT_FILE, load_checkpoint
from .config import GLEENetConfig, preset_config
from .distributed import World, choose_device, joined_world
from .folds import choose_split
from .losses import au_loss, occurrence_ratio
from .options import TrainOptions, write_options
from .predictions import PREDICTIONS_FILE, network_input, predict_frames, save_predictions
from .schedule import Schedule
from .training_state import TrainingState, new_state

logger = logging.getLogger(__name__)

LOG_FILE = "log.csv"
SPLIT_FILE = "split.json"
ALONE = World()
LOG_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "seconds")


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
    """A run's folder and the folds that were asked for."""

    run: Path
    folds: tuple[FoldSummary, ...]


def train(
    work: Path,
    out: Path,
    options: TrainOptions,
    *,
    fold: str = "all",
    f_exp_source: FExpSource | None = None,
    device: str = "auto",
) -> TrainSummary:
    """Train one fold or all; goes on where an earlier call with the same options stopped.

    work: folder with shards. out: the run's folder. fold: a name of the split, or "all".
    f_exp_source: gives other coefficients than the shards hold. device: "auto", "cpu", "cuda".

    Raises DataError for frames, labels or a split that cannot be used and for a loss that is not
    finite (naming the frames), OptionsError where `out` was trained with other options, UsageError
    for an unknown fold, ShardError, WeightsError and OutputError for files.
    """
    config = preset_config(options.preset, (), options.ablation)
    frames = load_frames(
        work,
        size=stored_size(config.image_size),
        aus=options.aus or None,
        with_fit=config.coefficients,
        f_exp_source=f_exp_source,
    )
    config = replace(config, au_names=frames.au_names)
    file = Path(options.split) if options.split else None
    split = choose_split(
        frames.subjects, frames.dataset, seed=options.seed, count=options.folds, file=file
    )
    if fold != "all" and fold not in split:
        raise UsageError(f"unknown fold {fold!r}; choose one of {', '.join(split)} or all")
    with joined_world(device) as world, torch.random.fork_rng():
        where = choose_device(device, world)
        world.check_batch(options.batch)
        if world.leads:
            write_options(out, options)
            write_whole(out / SPLIT_FILE, json.dumps(split, indent=1).encode())
        folds = [
            train_fold(
                frames, config, options, name, split[name], out / f"fold{name}", where, world
            )
            for name in (split if fold == "all" else [fold])
        ]
    return TrainSummary(out, tuple(folds))


def train_fold(
    frames: AUFrames,
    config: GLEENetConfig,
    options: TrainOptions,
    name: str,
    test_subjects: tuple[str, ...],
    folder: Path,
    device: torch.device,
    world: World = ALONE,
) -> FoldSummary:
    """Train the network of one fold, as far as it is not, and predict its test subjects."""
    began = time.perf_counter()
    indices = training_frames(frames, test_subjects)
    path = folder / CHECKPOINT_FILE
    earlier = load_checkpoint(path) if path.exists() else None
    if earlier is not None and earlier.finished:
        logger.info("fold %s is trained already: %s", name, path)
        network = earlier.network().to(device)
    else:
        _seed(options.seed, name)
        state = new_state(config, options, device, world, test_subjects, frames, indices)
        if earlier is not None:
            state.resume(earlier)
            logger.info("fold %s goes on from step %d", name, state.step)
        run_steps(state, frames, indices, options, name, folder)
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
        loss=_last_loss(folder / LOG_FILE, options.epochs),
        seconds=time.perf_counter() - began,
    )


def run_steps(
    state: TrainingState,
    frames: AUFrames,
    indices: npt.NDArray[np.int64],
    options: TrainOptions,
    name: str,
    folder: Path,
) -> None:
    """Take all steps that are left, with a checkpoint after each epoch and at the end."""
    schedule = Schedule(options, len(indices))
    path, log = folder / CHECKPOINT_FILE, folder / LOG_FILE
    rows = _read_log(log, state.step)
    ratio = torch.from_numpy(occurrence_ratio(frames.labels[indices])).float().to(state.device)
    size = state.config.image_size
    world = state.world
    batches = training_batches(frames, indices, size, options, schedule, state.step, world)
    for batch in _progress(batches, schedule, state.step, name, world):
        began = time.perf_counter()
        rate = schedule.learning_rate(state.step)
        _seed(options.seed, name, state.step, world.rank)
        losses, norm = take_step(state, batch, options, ratio, rate)
        _check_finite(losses, norm, batch, frames, f"fold {name}, step {state.step}")
        epoch = state.step // schedule.steps_per_epoch
        seconds = time.perf_counter() - began
        rows.append((state.step, epoch, world.mean(float(losses.mean())), rate, norm, seconds))
        state.step += 1
        if world.leads and schedule.saves_at(state.step):
            _write_log(log, rows)
            state.save(path)
    if world.leads:
        _write_log(log, rows)
        state.finish(path)
    world.wait()


def take_step(
    state: TrainingState, batch: Batch, options: TrainOptions, ratio: Tensor, rate: float
) -> tuple[Tensor, float]:
    """One step of SGD on Eq. 5; a loss or gradient that is not finite changes no weight.

    ratio: (a,), r of Eq. 5. rate: learning rate. Returns the losses of the frames (b,) and the
    norm of the gradient before clipping.
    """
    state.network.train()
    state.optimiser.param_groups[0]["lr"] = rate
    state.optimiser.zero_grad(set_to_none=True)
    losses = []
    for part in split_batch(batch, options.accumulate):
        with state.autocast():
            prediction = state.parallel(*network_input(part, state.device))
        loss = au_loss(prediction, torch.from_numpy(part.labels).to(state.device), ratio)
        torch.autograd.backward(state.scaler.scale(loss.sum() / len(batch.index)))
        losses.append(loss.detach())
    state.scaler.unscale_(state.optimiser)
    norm = float(nn.utils.clip_grad_norm_(state.weights, options.clip or math.inf))
    if math.isfinite(norm) or state.scaler.is_enabled():
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.update_average(options.ema)
    return torch.cat(losses), norm


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


def _seed(seed: int, fold: str, *more: int) -> None:
    """Seed torch for a fold, or a step and rank in it: the same, alone or among other folds."""
    words = np.random.SeedSequence([seed, *fold.encode(), *more]).generate_state(2)
    torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def _progress(
    batches: Iterable[Batch], schedule: Schedule, first: int, name: str, world: World
) -> Iterable[Batch]:
    bar: Iterable[Batch] = tqdm(
        batches,
        desc=f"fold {name}",
        unit="step",
        total=schedule.total,
        initial=first,
        disable=not (world.leads and sys.stderr.isatty()),
    )
    return bar


def _check_finite(losses: Tensor, norm: float, batch: Batch, frames: AUFrames, where: str) -> None:
    """Stop where a loss is not finite, naming the frames; or where the gradient is not."""
    if bool(torch.isfinite(losses).all()) and math.isfinite(norm):
        return
    bad = ~torch.isfinite(losses).cpu().numpy()
    guilty = batch.index[bad] if bad.any() else batch.index
    named = ", ".join(frames.frame_name(int(index)) for index in guilty[:4])
    more = f" and {len(guilty) - 4} more" if len(guilty) > 4 else ""
    what = "loss" if bad.any() else "gradient"
    raise DataError(
        f"{where}: {what} is not finite; frames: {named}{more}; "
        "look at these frames, or lower the learning rate"
    )


def _read_log(path: Path, step: int) -> list[tuple[float, ...]]:
    """Rows of the steps before `step`, that a killed run wrote."""
    if not step or not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [tuple(float(row[column]) for column in LOG_COLUMNS) for row in csv.DictReader(file)]
    return [row for row in rows if row[0] < step]


def _write_log(path: Path, rows: list[tuple[float, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LOG_COLUMNS)
    for step, epoch, *values in rows:
        writer.writerow([int(step), int(epoch), *(f"{value:.6g}" for value in values)])
    write_whole(path, text.getvalue().encode())


def _last_loss(path: Path, epochs: int) -> float:
    """Mean loss of the last epoch, from the log."""
    with path.open(newline="") as file:
        losses = [
            float(row["loss"]) for row in csv.DictReader(file) if int(row["epoch"]) == epochs - 1
        ]
    return float(np.mean(losses)) if losses else math.nan
