"""The stage `fit3d`: the landmarks in a work folder's shards -> f_exp, f_shape and pose in them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import GleeError, ShardError, UsageError
from ..fitting.morphable_model.description import ARKIT_BASIS, expression_basis
from ..fitting.morphable_model.model_file import load_model
from .clip_smoothing import DENSE_BESIDE, DENSE_ONLY
from .cluster.cluster import Cluster, open_cluster
from .cluster.options import stage_cluster_options
from .datasets import DATASETS, dataset_module
from .shards.shard import ShardHeader, list_shards, read_shard
from .subject_fit import (
    ShardTask,
    SubjectResult,
    SubjectTask,
    detector_noise,
    fit_shard,
    fit_subject,
)
from .summary import Summary, Tally, progress_bar
from .work_folder import state_options, work_in

logger = logging.getLogger(__name__)

STAGE = "fit3d"
IDENTITIES = ("subject", "frame")
ROBUST = (None, "huber", "geman-mcclure")


@dataclass(frozen=True)
class Fit3dOptions:
    """Every option that shapes the fit.

    identity: "subject", one f_shape for all frames of a subject, or "frame", one a frame (the
    paper's; always so for FEC). sample_frames: frames from which a subject's f_shape is found.
    focal: pixels; None for the default of the image size. bounds: keep f_exp in [0, 1] and f_shape
    in [-3, 3].
    expression_weight, shape_weight: of |f_exp|^2 and |f_shape|^2 (Eq. 3); both None for those that
    a subject's landmarks ask for (the paper's 1e-4 with identity "frame"). curves: compare sliding
    landmarks with the detected curve. robust: None, "huber" or "geman-mcclure". whiten:
    by the detector's noise, where the model is calibrated to the detector. prior: hold f_exp to
    plausible expressions (`fitting.expression_prior`), beyond the paper. smooth: fit landmarks
    smoothed in time, both ways (`smoothing`). Of these three, None is what suits the shards: on
    where they can be had. temporal: weight of
    |f_exp(t) - f_exp(t - 1)|^2 within a clip. estimate_focal: one focal length a subject, from its
    frames. model: path of a morphable model; None for the embedded one. dense: fit the shards'
    dense points "beside" the landmarks, or them "only"; None: leave them.
    """

    identity: str = "subject"
    sample_frames: int = 200
    focal: float | None = None
    bounds: bool = True
    expression_weight: float | None = None
    shape_weight: float | None = None
    curves: bool = True
    robust: str | None = None
    whiten: bool | None = False
    prior: bool | None = False
    smooth: bool | None = False
    temporal: float = 0.0
    estimate_focal: bool = False
    model: str | None = None
    dense: str | None = None

    def check(self) -> None:
        """Raises UsageError where a value makes no sense."""
        if self.identity not in IDENTITIES:
            raise UsageError(f"identity is {self.identity!r}; give one of {', '.join(IDENTITIES)}")
        if not 1 <= self.sample_frames <= 10_000:
            raise UsageError(f"sample_frames is {self.sample_frames}; give 1 to 10000")
        if self.focal is not None and not self.focal > 0:
            raise UsageError(f"focal is {self.focal}; give a positive number of pixels")
        if self.identity == "frame" and (self.temporal > 0 or self.estimate_focal):
            raise UsageError("temporal and estimate_focal need identity subject")
        if self.whiten and self.robust is not None:
            raise UsageError("whiten and robust exclude each other; give one of them")
        if (self.expression_weight is None) != (self.shape_weight is None):
            raise UsageError("give both expression_weight and shape_weight, or neither of them")
        for name in ("expression_weight", "shape_weight", "temporal"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} is {value}; give 0 or more")
        if self.robust not in ROBUST:
            raise UsageError(f"robust is {self.robust!r}; give huber or geman-mcclure, or none")
        if self.dense not in (None, DENSE_BESIDE, DENSE_ONLY):
            raise UsageError(f"dense is {self.dense!r}; give {DENSE_BESIDE} or {DENSE_ONLY}")


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

    Shards that hold the fit of these options and landmarks stay; overwrite: fit them again.
    workers, cluster, cluster_config: as in `preprocess`. The
    result does not depend on workers, their order or a run that was killed.

    Raises UsageError, ShardError (no shards, or one is damaged), OutputError, OptionsError (fitted
    with other options before).
    """
    begin = time.monotonic()
    options = options or Fit3dOptions()
    options.check()
    paths = list_shards(Path(work))
    options = _suited(options, paths)
    tally = Tally(STAGE)
    with work_in(Path(work), STAGE):
        places = stage_cluster_options(Path(work), cluster_config)
        state_options(Path(work), STAGE, asdict(options), overwrite=overwrite)
        with open_cluster(cluster, workers, places) as place:
            subjects = _fit_subjects(paths, options, overwrite, place, tally, progress)
            _fit_shards(subjects, options, place, tally, progress)
    return tally.finish(time.monotonic() - begin)


def _suited(options: Fit3dOptions, paths: list[Path]) -> Fit3dOptions:
    """The options that suit the shards, of which the first readable one speaks for all.

    Identity "frame" and nothing smoothed where a dataset's frames show another person each;
    whitening and prior, where nothing was said of them, if the model knows the detector's noise
    and has the prior's blendshapes. Raises UsageError where an option needs frames of one person.
    """
    header = next((found for path in paths if (found := _header(path)) is not None), None)
    if header is None:
        return replace(
            options, whiten=bool(options.whiten), prior=bool(options.prior), smooth=False
        )
    if options.dense and not header.options.get("dense"):
        raise UsageError("dense: the shards hold no dense points; run `glee preprocess --dense`")
    known = header.dataset in DATASETS
    strangers = known and getattr(dataset_module(header.dataset), "STRANGERS", False)
    if strangers and options.identity != "frame":
        what = "every frame shows another person; fitted with --identity frame"
        logger.warning("%s: %s", header.dataset, what)
        options = replace(options, identity="frame")
    model = load_model(None if options.model is None else Path(options.model))
    if options.whiten is None:
        noise = detector_noise(model, header.detector.split(" ")[0])
        options = replace(options, whiten=noise is not None and options.robust is None)
    if options.prior is None:
        options = replace(options, prior=expression_basis(model) == ARKIT_BASIS)
    smooth = not strangers if options.smooth is None else options.smooth
    options = replace(options, smooth=smooth)
    options.check()
    return options


def _header(path: Path) -> ShardHeader | None:
    try:
        return read_shard(path, verify=False).header
    except ShardError:
        return None  # it is reported by its own task


def _fit_subjects(
    paths: list[Path],
    options: Fit3dOptions,
    again: bool,
    place: Cluster,
    tally: Tally,
    progress: bool,
) -> list[tuple[SubjectTask, SubjectResult]]:
    """Subjects with their identities, sorted; those that fail are left out."""
    shards: dict[str, list[Path]] = {}
    for path in paths:
        shards.setdefault(path.parent.parent.name, []).append(path)
    tasks = [
        SubjectTask(subject, tuple(found), asdict(options), again)
        for subject, found in shards.items()
    ]
    done: dict[str, tuple[SubjectTask, SubjectResult]] = {}
    with progress_bar("identity", len(tasks), "subject", shown=progress) as bar:
        for outcome in place.run(fit_subject, tasks):
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
    place: Cluster,
    tally: Tally,
    progress: bool,
) -> None:
    total = sum(len(task.paths) for task, _ in subjects)
    with progress_bar(STAGE, total, "shard", shown=progress) as bar:
        for outcome in place.run(fit_shard, _shard_tasks(subjects, options)):
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
                options=asdict(options),
                source=source,
                keep=fitted,
            )
