"""The stage `fit3d`: the landmarks in a work folder's shards -> f_exp, f_shape and pose in them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import GleeError, ShardError, UsageError
from ..fitting.morphable_model.description import ARKIT_BASIS, expression_basis
from ..fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from ..fitting.morphable_model.model_file import load_model
from ..fitting.morphable_model.morphable_model import MorphableModel
from .cluster.cluster import Cluster, check_cluster, open_cluster
from .cluster.options import stage_cluster_options
from .datasets import DATASETS, dataset_module
from .options import Fit3dOptions, detector_noise
from .shards.shard import Shard, list_shards, read_shard
from .subject_fit import (
    ShardTask,
    SubjectResult,
    SubjectTask,
    fit_shard,
    fit_subject,
)
from .subject_witness import check_witnessed
from .summary import Summary, Tally, progress_bar
from .work_folder import state_options
from .work_lock import work_in

logger = logging.getLogger(__name__)

STAGE = "fit3d"


def fit3d(
    work: Path,
    *,
    options: Fit3dOptions | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    cluster_config: Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Summary:
    """Fit the morphable model to every valid frame of a work folder's shards, and write it there.

    The result does not depend on workers, their order or a run that was killed.

    Parameters
    ----------
    work : Path
        The work folder.
    options : Fit3dOptions or None
        What shapes the fit; None for the defaults.
    workers, cluster, cluster_config
        As in `preprocess`.
    overwrite : bool
        Fit shards again that hold the fit of these options and landmarks; else they stay.
    progress : bool
        Show progress bars.

    Returns
    -------
    Summary
        Frames by outcome, clip by clip.

    Raises
    ------
    UsageError
        Where an option makes no sense, or not for these shards.
    ShardError
        Where there are no shards, or one is damaged.
    OutputError
        Where a shard cannot be written.
    OptionsError
        Where the shards were fitted with other options before.
    """
    begin = time.monotonic()
    options = options or Fit3dOptions()
    options.check()
    cluster_options = stage_cluster_options(Path(work), cluster_config)
    check_cluster(cluster, workers, cluster_options)
    paths = list_shards(Path(work))
    options = _suited(options, paths)
    tally = Tally(STAGE)
    with work_in(Path(work), STAGE) as held:
        state_options(Path(work), STAGE, asdict(options), overwrite=overwrite)
        with open_cluster(cluster, workers, cluster_options) as opened:
            running_cluster = held.watched(opened)
            subjects = _fit_subjects(paths, options, overwrite, running_cluster, tally, progress)
            _fit_shards(subjects, options, running_cluster, tally, progress)
    return tally.finish(time.monotonic() - begin)


def _suited(options: Fit3dOptions, paths: list[Path]) -> Fit3dOptions:
    """The options that suit the shards, of which the first readable one speaks for all.

    Identity "frame" and nothing smoothed where a dataset's frames show another person each;
    whitening and prior, where nothing was said of them, if the model knows the detector's noise
    and has the prior's blendshapes; the second witness, if the shards hold one, and what is
    hidden, if they know it. Raises UsageError where an option needs frames of one person, or what
    the shards do not hold.
    """
    shard = next((found for path in paths if (found := _readable(path)) is not None), None)
    if shard is None:
        return replace(
            options,
            whiten=bool(options.whiten),
            prior=bool(options.prior),
            smooth=False,
            witness=bool(options.witness),
            visibility=bool(options.visibility),
        )
    header = shard.header
    if options.dense and not header.options.get("dense"):
        raise UsageError("dense: the shards hold no dense points; run `glee preprocess --dense`")
    known = header.dataset in DATASETS
    strangers = known and getattr(dataset_module(header.dataset), "STRANGERS", False)
    if strangers and options.identity != "frame":
        what = "every frame shows another person; fitted with --identity frame"
        logger.warning("%s: %s", header.dataset, what)
        options = replace(options, identity="frame")
    model = load_model(options.model_path)
    if options.whiten is None:
        noise = detector_noise(model, header.detector.split(" ")[0])
        suits = noise is not None and options.robust is None and options.units is None
        options = replace(options, whiten=suits)
    if options.prior is None:
        of_squares = options.units is None and options.robust != "absolute"
        options = replace(options, prior=of_squares and expression_basis(model) == ARKIT_BASIS)
    smooth = not strangers if options.smooth is None else options.smooth
    options = replace(options, smooth=smooth, witness=_hears(options, shard, model))
    options = replace(options, visibility=_heeds(options, shard))
    options.check()
    return options


def _hears(options: Fit3dOptions, shard: Shard, model: MorphableModel) -> bool:
    """Whether blendshapes are heard: as asked for, or where they can be had.

    Raises UsageError where they are asked for and cannot be had.
    """
    if options.witness:
        check_witnessed(shard)
        if model.expression_names != ARKIT_NAMES:
            raise UsageError(f"witness: model {model.name} has other expressions than ARKit's")
    there = shard.frames.blendshapes is not None and model.expression_names == ARKIT_NAMES
    suits = there and bool(options.prior) and options.hears_witness
    return suits if options.witness is None else options.witness


def _heeds(options: Fit3dOptions, shard: Shard) -> bool:
    """Whether it matters what is hidden: as asked for, or where it is known.

    Raises UsageError where it is asked for and not known.
    """
    there = shard.frames.visibility is not None
    if options.visibility and not there:
        raise UsageError(
            "visibility: the shards do not say what is hidden; run `glee preprocess` again, or "
            "`glee fit3d` with --no-visibility"
        )
    return there if options.visibility is None else options.visibility


def _readable(path: Path) -> Shard | None:
    try:
        return read_shard(path, verify=False)
    except ShardError:
        return None  # it is reported by its own task


def _fit_subjects(
    paths: list[Path],
    options: Fit3dOptions,
    again: bool,
    cluster: Cluster,
    tally: Tally,
    progress: bool,
) -> list[tuple[SubjectTask, SubjectResult]]:
    """Subjects with their identities, sorted; those that fail are left out."""
    shards: dict[str, list[Path]] = {}
    for path in paths:
        shards.setdefault(path.parent.parent.name, []).append(path)
    tasks = [
        SubjectTask(subject, tuple(found), options, again) for subject, found in shards.items()
    ]
    done: dict[str, tuple[SubjectTask, SubjectResult]] = {}
    with progress_bar("identity", len(tasks), "subject", shown=progress) as bar:
        for outcome in cluster.run(fit_subject, tasks):
            bar.update(1)
            if outcome.result is None:
                tally.fail(outcome.task.subject, outcome.error or GleeError("no result"))
                continue
            done[outcome.task.subject] = (outcome.task, outcome.result)
            tally.add_steps({"identity": outcome.result.seconds})
    return [done[subject] for subject in sorted(done)]


def _fit_shards(
    subjects: list[tuple[SubjectTask, SubjectResult]],
    options: Fit3dOptions,
    cluster: Cluster,
    tally: Tally,
    progress: bool,
) -> None:
    total = sum(len(task.paths) for task, _ in subjects)
    with progress_bar(STAGE, total, "shard", shown=progress) as bar:
        for outcome in cluster.run(fit_shard, _shard_tasks(subjects, options)):
            bar.update(1)
            result = outcome.result
            if result is None:
                tally.fail(str(outcome.task.path), outcome.error or GleeError("no result"))
                continue
            tally.add(result.subject, result.clip, result.reasons, kept=result.kept)
            tally.add_steps(result.steps)


def _shard_tasks(
    subjects: list[tuple[SubjectTask, SubjectResult]], options: Fit3dOptions
) -> Iterator[ShardTask]:
    for task, result in subjects:
        for path, source, fitted in zip(task.paths, result.sources, result.fitted, strict=True):
            yield ShardTask(
                path=path,
                f_shape=result.f_shape,
                focal=result.focal,
                landmark_error=result.landmark_error,
                track=result.tracks.get(path.parent.name),
                witness=result.witness,
                options=options,
                source=source,
                keep=fitted,
            )
