"""The demo: every stage on built-in data, measured against the truth; read it top to bottom.

`demo` runs the stages as a user gets them who asks for nothing, `demo_dry_run` says what it would
do. The seconds of each stage are kept beside what it made. The folds are trained side by side, one
core each, and beside them the networks that are given less (`ingredients`).
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import __version__
from ...errors import GleeError, OutputError, UsageError
from ...model.checkpoint import CHECKPOINT_FILE
from ...model.data.folds import Split, choose_split
from ...model.options import TrainOptions, train_options
from ...model.prediction.evaluation import evaluate
from ...model.training.training import train
from ...pipeline.cluster.cluster import available_cores, open_cluster
from ...pipeline.datasets import disfa
from ...pipeline.fit3d import fit3d
from ...pipeline.options import Fit3dOptions
from ...pipeline.preprocess import preprocess
from ...pipeline.shards.shard import list_shards, read_shard
from ...pipeline.summary import progress_bar
from ...pipeline.synthesis.clips import TRUTH, read_truth, subject_names, synthesise
from ...pipeline.work_folder import read_options, state_options
from ...whole_files import write_whole
from ..report import write_report
from .comparison import fit_true_landmarks, load_comparison
from .face_rows import face_rows
from .ingredients import (
    INGREDIENTS,
    RUN,
    WORK,
    WORK_AS_PUBLISHED,
    copy_shards,
    fit_as_published,
    measure_ingredients,
)
from .report import demo_report, demo_results
from .stage_losses import stage_losses

logger = logging.getLogger(__name__)

STAGE = "demo"
DATA = "data"
FOLDERS = (DATA, WORK, WORK_AS_PUBLISHED, *(one.run for one in INGREDIENTS))
REPORT_FILE, RESULTS_FILE, SECONDS_FILE = "report.html", "results.json", "seconds.json"
# Chosen for a few minutes on two quiet cores; five networks are trained.
FRAMES, EPOCHS = 120, 10
# What `glee fit3d` does where nothing is asked for: all that suits the shards.
FITTING = Fit3dOptions(whiten=None, prior=None, smooth=None, witness=None)

SUBJECTS, SIZE = 9, (640, 480)


@dataclass(frozen=True)
class DemoOptions:
    """Every option that shapes the demo; stated in the folder's glee.toml.

    Attributes
    ----------
    seed : int
        Of people, videos and training.
    subjects : tuple of str
        Names.
    frames : int
        Of each subject.
    size : (int, int)
        Width and height of a frame, pixels.
    epochs : int
        Of training.
    """

    seed: int
    subjects: tuple[str, ...]
    frames: int
    size: tuple[int, int]
    epochs: int

    def training(self) -> TrainOptions:
        """Give the compact network's recipe."""
        return train_options("compact", epochs=self.epochs, seed=self.seed)


def demo(
    out: Path,
    *,
    seed: int = 0,
    subjects: int | Sequence[str] = 9,
    frames: int = FRAMES,
    size: tuple[int, int] = (640, 480),
    epochs: int = EPOCHS,
    workers: int | None = 2,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Render faces, find, align and fit them, learn from them, and measure all of it.

    A demo that was interrupted goes on where it stopped; the figures depend on the options alone,
    but for `seconds`.

    Parameters
    ----------
    out : Path
        Folder for data, shards, runs, report.html and results.json.
    seed : int
        Of people, videos and training.
    subjects : int or sequence of str
        How many, or names; each fold of DISFA needs one.
    frames : int
        Of each subject.
    size : (int, int)
        Width and height of a frame, pixels.
    epochs : int
        Of training.
    workers : int or None
        Processes, None for one a core.
    overwrite : bool
        Begin anew where a demo was made with other options.
    progress : bool
        Show bars.

    Returns
    -------
    dict
        What stands in results.json, see `demo_results`.

    Raises
    ------
    UsageError
        For subjects or frames that make no sense.
    OptionsError
        Where `out` holds a demo of other options.
    OutputError
        Where `out` is no demo's or cannot be written.
    """
    out = Path(out)
    options = DemoOptions(seed, subject_names(subjects), frames, size, epochs)
    _check_folds(options.subjects)
    _claim(out, options, overwrite)
    clock = StageClock(out / SECONDS_FILE)
    data, work, published = out / DATA, out / WORK, out / WORK_AS_PUBLISHED
    with clock.stage("synth"):
        _synthesise(data, options, workers)
    with clock.stage("preprocess"):
        preprocess(disfa.NAME, data, work, workers=workers, progress=progress)
        copy_shards(work, published)
    with clock.stage("fit3d"):
        fit3d(work, options=FITTING, workers=workers, progress=progress)
    with clock.stage("fit3d --paper"):
        fit_as_published(published, workers=workers, progress=progress)
    split = choose_split(options.subjects, disfa.NAME, seed=seed)
    with clock.stage("train"):
        train_folds(_trainings(out, split, options), workers=workers, progress=progress)
    return _measure(out, split, clock, workers, progress)


def _measure(
    out: Path, split: Split, clock: StageClock, workers: int | None, progress: bool
) -> dict[str, Any]:
    """Hold all that was made against the truth; write the report and the results."""
    data, run = out / DATA, out / RUN
    with clock.stage("evaluate"):
        evaluation = evaluate(run).results
        ingredients = measure_ingredients(out, evaluation)
    with clock.stage("losses"):
        comparison = load_comparison(data, out / WORK)
        exact = fit_true_landmarks(comparison, workers=workers, progress=progress)
        losses = stage_losses(comparison, exact, ingredients["f1_of"])
    with clock.stage("report"):
        rows = face_rows(comparison, data, run, tuple(fold[0] for fold in split.values()))
    results = demo_results(comparison, evaluation, losses, ingredients, clock.seconds())
    write_report(out / REPORT_FILE, demo_report(comparison, exact, evaluation, results, rows))
    write_whole(out / RESULTS_FILE, json.dumps(results, indent=1).encode())
    return results


def _check_folds(subjects: tuple[str, ...]) -> None:
    empty = [str(i + 1) for i, fold in enumerate(disfa.FOLDS) if not set(fold) & set(subjects)]
    if empty:
        raise UsageError(
            f"{len(subjects)} subjects leave fold {empty[0]} of DISFA empty; give 3 or more"
        )


def _claim(out: Path, options: DemoOptions, overwrite: bool) -> None:
    """State the options in the folder, or check them; clear it of an older demo if asked to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error.strerror}; choose a folder that can be written"
        ) from error
    held = [name for name in FOLDERS if (out / name).exists()]
    if held and STAGE not in read_options(out):
        raise OutputError(f"{out}: holds {held[0]}/ that no demo wrote; choose another folder")
    if overwrite:
        try:
            for name in held:
                shutil.rmtree(out / name)
            for name in (SECONDS_FILE, REPORT_FILE, RESULTS_FILE):
                (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{out}: cannot be cleared ({error.strerror}); choose another folder"
            ) from error
    stated = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }
    state_options(out, STAGE, {**stated, "glee": __version__}, overwrite=overwrite)


def _synthesise(data: Path, options: DemoOptions, workers: int | None) -> None:
    """Render the subjects that are not there yet; a subject's truth is written last."""
    missing = [
        name for name in options.subjects if not (data / TRUTH.format(subject=name)).exists()
    ]
    if missing:
        synthesise(
            data,
            subjects=missing,
            frames=options.frames,
            size=options.size,
            seed=options.seed,
            workers=workers or available_cores(),
        )


def _trainings(out: Path, split: Split, options: DemoOptions) -> list[FoldTask]:
    """Every fold of every network of INGREDIENTS, those with images first: they take longest."""
    recipe, truth = options.training(), TrueFExp(out / DATA)
    return [
        FoldTask(
            out / one.work,
            out / one.run,
            fold,
            replace(recipe, **one.training(recipe)),
            truth if one.true_f_exp else None,
        )
        for one in sorted(INGREDIENTS, key=lambda one: not one.sees_images)
        for fold in split
    ]


def demo_dry_run(out: Path, *, seed: int = 0, overwrite: bool = False) -> list[str]:
    """Say what `demo` would do: how much of each stage is there already; nothing is written.

    Parameters
    ----------
    out, seed, overwrite
        As `demo` takes them.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    OptionsError
        Where the folder's options cannot be read.
    """
    out = Path(out)
    options = DemoOptions(seed, subject_names(SUBJECTS), FRAMES, SIZE, EPOCHS)
    before = read_options(out).get(STAGE)
    stated = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
    stated["glee"] = __version__
    differing = [] if before is None else [k for k, v in stated.items() if before.get(k) != v]
    fresh = overwrite or before is None
    data, work = out / DATA, out / WORK
    videos = sum((data / TRUTH.format(subject=name)).exists() for name in options.subjects)
    shards = len(list_shards(work)) if (work / "shards").is_dir() else 0
    runs = [out / one.run for one in INGREDIENTS]
    folds = sum(len(list(run.glob(f"fold*/{CHECKPOINT_FILE}"))) for run in runs)
    there = "0" if fresh else "{}"
    lines = [
        f"demo, seed {seed}: {len(options.subjects)} subjects, "
        f"{len(options.subjects) * FRAMES} frames of {SIZE[0]}x{SIZE[1]}",
        f"synth: {len(options.subjects)} videos, {there.format(videos)} there already",
        f"preprocess, fit3d: {len(options.subjects)} shards, {there.format(shards)} there already",
        f"train: {len(INGREDIENTS)} networks, {len(INGREDIENTS) * len(disfa.FOLDS)} folds of "
        f"{EPOCHS} epochs, {there.format(folds)} begun already",
        f"report: {out / 'report.html'}, {out / RESULTS_FILE}",
    ]
    if differing and not overwrite:
        lines.append(
            f"would stop: demo ran here with other {', '.join(differing)}; see --overwrite"
        )
    return lines


class StageClock:
    """Wall-clock seconds by stage; a stage that had finished in an earlier call keeps its own.

    A demo that goes on only checks the stages that are done, which says nothing of how long they
    take.

    Parameters
    ----------
    path : Path
        JSON file of the seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = _read(path)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what runs inside, if it ends well.

        Parameters
        ----------
        name : str
            Of the stage.
        """
        logger.info("%s ...", name)
        begin = time.monotonic()
        yield
        if name not in self._seconds:
            self._seconds[name] = round(time.monotonic() - begin, 2)
            write_whole(self._path, json.dumps(self._seconds, indent=1).encode())

    def seconds(self) -> dict[str, float]:
        """Give seconds by stage, in their order, and `total`."""
        return {**self._seconds, "total": round(sum(self._seconds.values()), 2)}


def _read(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text())
        return {str(name): float(value) for name, value in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


@dataclass(frozen=True)
class TrueFExp:
    """Gives a shard's true coefficients in the place of the fitted ones.

    Attributes
    ----------
    data : Path
        Root of the dataset that `synthesise` wrote.
    """

    data: Path

    def __call__(self, path: Path) -> npt.NDArray[np.float32]:
        """Read the true f_exp, (n, 51) float32, of the frames of the shard at `path`."""
        header = read_shard(path, verify=False).header
        truth = read_truth(self.data / TRUTH.format(subject=header.subject))
        return truth.f_exp[header.start : header.stop]


@dataclass(frozen=True)
class FoldTask:
    """One fold to train into a run's folder.

    Attributes
    ----------
    work : Path
        Folder with shards.
    run : Path
        The run's folder.
    fold : str
        Name.
    options : TrainOptions
        Of the run.
    f_exp_source : TrueFExp or None
        None for the shards' own.
    """

    work: Path
    run: Path
    fold: str
    options: TrainOptions
    f_exp_source: TrueFExp | None = None


def train_folds(tasks: Iterable[FoldTask], *, workers: int | None, progress: bool) -> None:
    """Train every task's fold; the result does not depend on workers.

    Parameters
    ----------
    tasks : iterable of FoldTask
        Folds.
    workers : int or None
        Processes, None for one a core.
    progress : bool
        Show a bar.

    Raises
    ------
    GleeError
        What training raises.
    """
    tasks = list(tasks)
    with (
        open_cluster("local", workers) as cluster,
        progress_bar("train", len(tasks), "fold", shown=progress) as bar,
    ):
        for outcome in cluster.run(train_one, tasks):
            bar.update(1)
            if outcome.error is not None:
                raise outcome.error
            if outcome.result is None:
                raise GleeError(f"{outcome.task.run}, fold {outcome.task.fold}: no result")


def train_one(task: FoldTask) -> float:
    """Train the fold of `task`, as far as it is not, and return the seconds spent."""
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
