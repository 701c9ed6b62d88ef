"""Training of the demo's folds side by side, one core each, and one fold on the true f_exp."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import GleeError
from ..model.options import TrainOptions
from ..model.training.training import train
from ..pipeline.cluster.cluster import open_cluster
from ..pipeline.progress import progress_bar
from ..pipeline.shards.shard import read_shard
from ..pipeline.synthesis.clips import TRUTH, read_truth


@dataclass(frozen=True)
class TrueFExp:
    """Gives a shard's true coefficients in the place of the fitted ones. data: the dataset."""

    data: Path

    def __call__(self, path: Path) -> npt.NDArray[np.float32]:
        """The true f_exp (n, 51) of a shard's frames."""
        header = read_shard(path, verify=False).header
        truth = read_truth(self.data / TRUTH.format(subject=header.subject))
        return truth.f_exp[header.start : header.stop]


@dataclass(frozen=True)
class FoldTask:
    """One fold to train into a run's folder. f_exp_source: None for the shards' own."""

    work: Path
    run: Path
    fold: str
    options: TrainOptions
    f_exp_source: TrueFExp | None = None


def train_folds(tasks: Iterable[FoldTask], *, workers: int | None, progress: bool) -> None:
    """Train every task's fold; the result does not depend on workers. Raises what training does."""
    tasks = list(tasks)
    with (
        open_cluster("local", workers) as place,
        progress_bar("train", len(tasks), "fold", shown=progress) as bar,
    ):
        for outcome in place.run(train_one, tasks):
            bar.update(1)
            if outcome.error is not None:
                raise outcome.error
            if outcome.result is None:
                raise GleeError(f"{outcome.task.run}, fold {outcome.task.fold}: no result")


def train_one(task: FoldTask) -> float:
    """Train one fold, as far as it is not; returns the seconds spent."""
    # The bars of folds that run side by side would overwrite each other; one over all is shown.
    with redirect_stderr(io.StringIO()):
        summary = train(
            task.work,
            task.run,
            task.options,
            fold=task.fold,
            f_exp_source=task.f_exp_source,
            device="cpu",
        )
    return sum(fold.seconds for fold in summary.folds)
