"""The loop of steps that every training takes: batches, checkpoints, log, and what stops it.

The losses go to log.csv, and to TensorBoard where that is installed and asked for.
"""

from __future__ import annotations

import csv
import io
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...errors import DataError, UsageError
from ...whole_files import write_whole
from ..checkpoint import CHECKPOINT_FILE
from ..data.au_dataset import MEMORY_LIMIT
from ..data.batches import batches_ahead
from ..data.decoded_crops import CropFileOptions
from ..options import Schedule, TrainOptions
from .state import TrainingState

# What a batch is, is the training's own matter.
Item = TypeVar("Item")

LOG_FILE = "log.csv"
LOG_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "seconds")

TENSORBOARD_FOLDER = "tensorboard"


@dataclass(frozen=True)
class RuntimeOptions:
    """How a training runs on this machine; nothing here changes a weight.

    Attributes
    ----------
    workers : int
        Processes that make batches, 0 for a thread of this one.
    tensorboard : bool
        Write TensorBoard's log too.
    progress : bool
        Show a bar where stderr is a terminal.
    before, in_all : int
        Steps of the folds before this training, and of all folds together, for the progress bar; 0
        in all where this is the only one.
    crop_file : CropFileOptions
        Where decoded crops are kept.
    """

    workers: int = 0
    tensorboard: bool = False
    progress: bool = True
    before: int = 0
    in_all: int = 0
    crop_file: CropFileOptions = field(default_factory=CropFileOptions)

    @property
    def memory_limit(self) -> int:
        """Bytes of decoded crops to keep in memory: none beside a file, or where processes load.

        Those share no memory with this one, and remember what they read themselves.
        """
        return 0 if self.workers or self.crop_file.used else MEMORY_LIMIT

    def of_folds(self, steps: Sequence[int]) -> Iterator[RuntimeOptions]:
        """Give each of several trainings, of so many `steps`, its place among them."""
        before = 0
        for count in steps:
            yield replace(self, before=before, in_all=sum(steps))
            before += count


DEFAULT_RUNTIME = RuntimeOptions()
# Enough for a step of 10 ms at batch 64 (benchmarks/train.py).
_WORKERS_FOR_A_GPU = 2


def runtime_options(
    device: str,
    workers: int | None,
    *,
    tensorboard: bool,
    progress: bool = True,
    crop_file: CropFileOptions | None = None,
) -> RuntimeOptions:
    """Choose how a training runs.

    Parameters
    ----------
    device : str
        "auto", "cpu" or "cuda".
    workers : int or None
        None for as many as the device needs beside this process.
    tensorboard : bool
        Write TensorBoard's log too.
    progress : bool
        Show a bar where stderr is a terminal.
    crop_file : CropFileOptions, optional
        Where decoded crops are kept.

    Returns
    -------
    RuntimeOptions
        The choice.
    """
    if workers is None:
        on_gpu = device != "cpu" and torch.cuda.is_available()
        workers = _WORKERS_FOR_A_GPU if on_gpu else 0
    crop_file = CropFileOptions() if crop_file is None else crop_file
    return RuntimeOptions(workers, tensorboard, progress, crop_file=crop_file)


def run_steps(
    state: TrainingState,
    schedule: Schedule,
    folder: Path,
    name: str,
    *,
    make_batch: Callable[[int], Item],
    add_gradient: Callable[[TrainingState, Item], Tensor],
    frame_names: Callable[[Item, npt.NDArray[np.bool_]], Sequence[str]],
    runtime: RuntimeOptions = DEFAULT_RUNTIME,
) -> None:
    """Take all steps that are left, with a checkpoint after each epoch and at the end.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    schedule : Schedule
        Steps and learning rates.
    folder : Path
        For checkpoint and log.
    name : str
        Of the training, for random choices and messages.
    make_batch : callable
        Step -> this process's share of its batch.
    add_gradient : callable
        Backward pass; returns the loss of each item (b,).
    frame_names : callable
        Names of the frames of some items (b,), for messages.
    runtime : RuntimeOptions
        Worker processes and logs.

    Raises
    ------
    DataError
        Where a loss or gradient is not finite, naming frames.
    UsageError
        Where TensorBoard is wanted and not installed.
    OutputError
        Where checkpoint or log cannot be written.
    """
    options, world = schedule.options, state.world
    log = folder / LOG_FILE
    rows = _read_log(log, state.step)
    batches = batches_ahead(
        make_batch, state.step, schedule.total, workers=runtime.workers, one_at_a_time=True
    )
    wanted = runtime.tensorboard and world.leads
    with tensorboard_log(folder, state.step, wanted=wanted) as board:
        for batch in (bar := _progress(batches, schedule, state, name, runtime)):
            began = time.perf_counter()
            rate = schedule.learning_rate(state.step)
            seed_step(options.seed, name, state.step, world.rank)
            losses, norm = take_step(state, batch, add_gradient, options, rate)
            finite = math.isfinite(norm) or state.scaler.is_enabled()
            if not (finite and bool(torch.isfinite(losses).all())):
                bad = ~torch.isfinite(losses).cpu().numpy()
                names = frame_names(batch, bad if bad.any() else ~bad)
                _stop(names, f"{name}, step {state.step}", "loss" if bad.any() else "gradient")
            epoch = state.step // schedule.steps_per_epoch
            seconds = time.perf_counter() - began
            rows.append((state.step, epoch, world.mean(float(losses.mean())), rate, norm, seconds))
            _show(board, rows[-1])
            of = f"epoch {epoch + 1} of {options.epochs}"
            bar.set_postfix_str(f"{of}, loss {rows[-1][2]:.4f}", refresh=False)
            state.step += 1
            if world.leads and schedule.saves_at(state.step):
                _write_log(log, rows)
                state.save(folder / CHECKPOINT_FILE)
    if world.leads:
        _write_log(log, rows)
        state.finish(folder / CHECKPOINT_FILE)
    world.wait()


def _show(board: ScalarLog | None, row: tuple[float, ...]) -> None:
    if board is not None:
        for column, value in zip(LOG_COLUMNS[2:], row[2:], strict=True):
            board.add_scalar(column, value, int(row[0]))


def take_step(
    state: TrainingState,
    batch: Item,
    add_gradient: Callable[[TrainingState, Item], Tensor],
    options: TrainOptions,
    rate: float,
) -> tuple[Tensor, float]:
    """Take one step of SGD; a gradient that is not finite changes no weight.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    batch : Item
        Of this process.
    add_gradient : callable
        Backward pass; returns the loss of each item (b,).
    options : TrainOptions
        Of the run.
    rate : float
        Learning rate.

    Returns
    -------
    losses : (b,) Tensor
        Of the batch's items.
    norm : float
        Of the gradient before clipping.
    """
    state.network.train()
    state.optimiser.param_groups[0]["lr"] = rate
    state.optimiser.zero_grad(set_to_none=True)
    losses = add_gradient(state, batch)
    state.scaler.unscale_(state.optimiser)
    gradients = [weight.grad for weight in state.weights if weight.grad is not None]
    norm = float(nn.utils.get_total_norm(gradients))
    if options.clip:
        nn.utils.clip_grads_with_norm_(state.weights, options.clip, torch.tensor(norm))
    if math.isfinite(norm) or state.scaler.is_enabled():
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.update_average(options.ema)
    return losses, norm


def seed_step(seed: int, name: str, *more: int) -> None:
    """Seed torch for a training's start, or a step and rank in it, whatever ran before.

    Parameters
    ----------
    seed : int
        Of the run.
    name : str
        Of the training.
    *more : int
        Step and rank.
    """
    words = np.random.SeedSequence([seed, *name.encode(), *more]).generate_state(2)
    torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def last_loss(folder: Path, epochs: int) -> float:
    """Read the mean loss of the last epoch from the log.

    Parameters
    ----------
    folder : Path
        Of the training.
    epochs : int
        In all.

    Returns
    -------
    float
        NaN where the log has no such epoch.
    """
    with (folder / LOG_FILE).open(newline="") as file:
        losses = [
            float(row["loss"]) for row in csv.DictReader(file) if int(row["epoch"]) == epochs - 1
        ]
    return float(np.mean(losses)) if losses else math.nan


def _progress(
    batches: Iterable[Item],
    schedule: Schedule,
    state: TrainingState,
    name: str,
    runtime: RuntimeOptions,
) -> tqdm[Item]:
    """A bar over the steps of all folds, so that the time that is left is the run's."""
    return tqdm(
        batches,
        desc=name,
        unit="step",
        total=runtime.in_all or schedule.total,
        initial=runtime.before + state.step,
        disable=not (runtime.progress and state.world.leads and sys.stderr.isatty()),
    )


def _stop(names: Sequence[str], where: str, what: str) -> None:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    raise DataError(
        f"{where}: {what} is not finite; frames: {', '.join(names[:4])}{more}; "
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


class ScalarLog(Protocol):
    """What the loop of steps needs of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Note one number of one step.

        Parameters
        ----------
        tag : str
            Name of the curve.
        scalar_value : float
            The number.
        global_step : int
            The step.
        """


@contextmanager
def tensorboard_log(folder: Path, step: int, *, wanted: bool) -> Iterator[ScalarLog | None]:
    """Open a writer into `folder`/tensorboard.

    Parameters
    ----------
    folder : Path
        Of the training.
    step : int
        To go on from; what a killed run wrote of later steps is hidden.
    wanted : bool
        Whether to write.

    Yields
    ------
    ScalarLog or None
        None where none is wanted.

    Raises
    ------
    UsageError
        Where TensorBoard is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "TensorBoard is not installed: pip install '.[tensorboard]' in glee's checkout, or "
            "leave --tensorboard out (log.csv holds the same figures)"
        ) from error
    writer = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=step)  # type: ignore[no-untyped-call]
    try:
        yield writer
    finally:
        writer.close()  # type: ignore[no-untyped-call]
