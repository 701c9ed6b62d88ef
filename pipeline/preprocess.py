"""The stage `preprocess`: a dataset's frames -> landmarks -> aligned crops -> shards."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DataError, GleeError, UsageError
from ..whole_files import write_whole
from .chunk import ChunkTask, make_shard
from .clips import Clip, DatasetContent
from .cluster.cluster import Cluster, check_cluster, open_cluster
from .cluster.options import stage_cluster_options
from .datasets import find_content, shaping_options
from .images.frames import FrameIndex, index_frames
from .landmarks.backends import (
    BackendSettings,
    chosen_detector,
    load_detector,
    refined_name,
    stated_detector,
)
from .landmarks.dense_landmarks import DenseDetector
from .landmarks.recorded import (
    RecordedFolder,
    file_mark,
    read_recorded,
    recorded_file,
    recorded_folder,
)
from .options import PreprocessOptions
from .shards.shard import SHARD_FOLDER, shard_path
from .summary import Summary, Tally, progress_bar
from .work_folder import carry_mark, state_options, write_plan
from .work_lock import refuse_if_taken, work_in

logger = logging.getLogger(__name__)

STAGE = "preprocess"


def preprocess(
    dataset: str,
    root: Path,
    out: Path,
    *,
    options: PreprocessOptions | None = None,
    weights: Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    cluster_config: Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    dataset_options: Mapping[str, Any] | None = None,
) -> Summary:
    """Make the shards of a dataset in a work folder; whole ones that are there already stay.

    The result does not depend on workers, their order or a run that was killed. A clip or chunk
    that fails is logged and the others are finished; then its error is raised.

    Parameters
    ----------
    dataset : str
        One of `datasets.DATASETS`.
    root : Path
        The dataset's folder.
    out : Path
        The work folder.
    options : PreprocessOptions or None
        What shapes the shards; None for the defaults.
    weights : Path or None
        Folder of the backend's weights files; what they hold is recorded, where they lie is not.
    workers : int or None
        Processes; None for one a core.
    cluster : str or None
        Where they run, see `open_cluster`; None for what the table [cluster] says.
    cluster_config : Path or None
        TOML file with a table [cluster], instead of the one in the work folder's glee.toml.
    overwrite : bool
        Drop what the folder holds and begin anew.
    progress : bool
        Show progress bars.
    dataset_options : mapping or None
        The dataset's own, see its module's OPTIONS; None means its default.

    Returns
    -------
    Summary
        Frames by outcome, clip by clip.

    Raises
    ------
    UsageError, DataError, WeightsError, OutputError
        See `errors`.
    OptionsError
        Where the folder was made with other options.
    """
    begin = time.monotonic()
    options = options or PreprocessOptions()
    options.check()
    cluster_options = stage_cluster_options(Path(out), cluster_config)
    check_cluster(cluster, workers, cluster_options)
    refuse_if_taken(Path(out))
    content = find_content(dataset, Path(root), **(dataset_options or {}))
    clips = _read_clips(content)
    tally = Tally(STAGE)
    weights_folder = None if weights is None else str(Path(weights).resolve())
    settings = BackendSettings(weights_folder, options.device, options.flip)
    recorded = recorded_folder(options.detector)
    if recorded is not None:
        backend_name = _of_files(recorded, options, settings)
        options = replace(options, detector=backend_name)
    else:
        name = refined_name(chosen_detector(options.detector, settings), options.refine)
        name, settings = stated_detector(name, settings)
        options = replace(options, detector=name)
        detector = load_detector(options.detector, settings)
        if options.dense:
            DenseDetector(detector)
        backend_name = f"{detector.name} {detector.version}"
    chosen = shaping_options(dataset, dict(dataset_options or {}))
    with work_in(Path(out), STAGE) as held:
        work = held.path
        stated: dict[str, Any] = {"dataset": dataset, **options.stated(), **chosen}
        state_options(work, STAGE, stated, overwrite=overwrite)
        if overwrite:
            shutil.rmtree(work / SHARD_FOLDER, ignore_errors=True)
        carry_mark(Path(root), work)
        for name, table in content.files.items():
            write_whole(work / name, table)
        with open_cluster(cluster, workers, cluster_options) as opened:
            running_cluster = held.watched(opened)
            deinterlace = bool(options.deinterlace)
            indices = _index_clips(clips, running_cluster, tally, progress, deinterlace)
            write_plan(work, dataset, options.chunk_frames, indices)
            files = {} if recorded is None else _recorded_files(recorded, indices, tally)
            if recorded is not None:
                indices = [one for one in indices if (one[0].subject, one[0].name) in files]
            tasks = _chunk_tasks(indices, work, options, chosen, (backend_name, settings), files)
            total = sum(index.count for _, index in indices)
            _make_shards(tasks, total, running_cluster, tally, progress)
        _remove_surplus(indices, work, options)
    return tally.finish(time.monotonic() - begin)


def _of_files(
    recorded: RecordedFolder, options: PreprocessOptions, settings: BackendSettings
) -> str:
    """The name of landmarks from files, which no backend's options shape."""
    given = {
        "--dense": options.dense,
        "--refine": options.refine,
        "--weights": settings.weights,
        "--detector-device": options.device,
        "--flip": options.flip,
    }
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} is of a backend; leave it out with {recorded.kind}:DIR")
    return recorded.kind


def _recorded_files(
    recorded: RecordedFolder, indices: list[tuple[Clip, FrameIndex]], tally: Tally
) -> dict[tuple[str, str], tuple[Path, str]]:
    """Each clip's CSV file and its mark; clips whose file cannot be theirs are left out."""
    found = {}
    for clip, index in indices:
        try:
            if clip.boxes:
                raise DataError(f"{clip.label}: its faces are cut out of images; use a backend")
            path = recorded_file(recorded.folder, clip)
            read_recorded(path, frames=index.count, size=index.size, fps=index.fps)
            found[clip.subject, clip.name] = path, file_mark(path)
        except GleeError as error:
            tally.fail(clip.label, error)
    return found


def _read_clips(content: DatasetContent) -> list[Clip]:
    """The clips with their labels; where one is wrong, all are read before its error is raised."""
    clips, errors = [], []
    for found in content.clips:
        try:
            clips.append(found.read())
        except GleeError as error:
            logger.error("%s/%s: %s", found.subject, found.name, error)
            errors.append(type(error)(f"{found.subject}/{found.name}: {error}"))
    for line in (*content.missing, *(note for clip in clips for note in clip.notes)):
        logger.warning("%s", line)
    for what, count in content.counts.items():
        logger.info("%s: %d", what, count)
    if errors:
        more = len(errors) - 1
        others = (
            f" (and {more} more clips cannot be used; `glee verify` lists them)" if more else ""
        )
        raise type(errors[0])(f"{errors[0]}{others}")
    return clips


def _index_clips(
    clips: list[Clip], cluster: Cluster, tally: Tally, progress: bool, deinterlace: bool
) -> list[tuple[Clip, FrameIndex]]:
    """Clips with their frames located, in the clips' order; those that fail are left out."""
    found: dict[tuple[str, str], FrameIndex] = {}
    bare = {(clip.subject, clip.name): clip for clip in clips}
    tasks = [replace(clip, labels=None) for clip in clips]
    index = partial(index_frames, deinterlace=deinterlace)
    with progress_bar("index", len(clips), "clip", shown=progress) as bar:
        for outcome in cluster.run(index, tasks):
            key = (outcome.task.subject, outcome.task.name)
            bar.update(1)
            try:
                if outcome.error is not None or outcome.result is None:
                    raise outcome.error or DataError(f"{outcome.task.source}: no result")
                _check_labels(bare[key], outcome.result)
                found[key] = outcome.result
                tally.describe(*key, outcome.result.describe())
            except Exception as error:
                tally.fail("/".join(key), error)
    return [(clip, found[key]) for key, clip in bare.items() if key in found]


def _check_labels(clip: Clip, index: FrameIndex) -> None:
    labels = clip.labels
    if labels is not None and len(labels.values) < index.count:
        raise DataError(
            f"{labels.shortest}: {len(labels.values)} lines for the {index.count} frames of "
            f"{clip.source.name}; get the file again"
        )


def _make_shards(
    tasks: Iterable[ChunkTask], total: int, cluster: Cluster, tally: Tally, progress: bool
) -> None:
    with progress_bar(STAGE, total, "frame", shown=progress) as bar:
        for outcome in cluster.run(make_shard, tasks):
            task = outcome.task
            bar.update(task.stop - task.start)
            if outcome.result is None:
                what = f"{task.clip.subject}/{task.clip.name} frames {task.start}-{task.stop - 1}"
                tally.fail(what, outcome.error or DataError(f"{what}: no result"))
                continue
            result = outcome.result
            tally.add(task.clip.subject, task.clip.name, result.reasons, kept=result.kept)
            tally.add_steps(result.steps)


def _chunk_tasks(
    indices: list[tuple[Clip, FrameIndex]],
    work: Path,
    options: PreprocessOptions,
    dataset_options: Mapping[str, Any],
    backend: tuple[str, BackendSettings],
    files: Mapping[tuple[str, str], tuple[Path, str]],
) -> Iterator[ChunkTask]:
    for clip, index in indices:
        recorded, mark = files.get((clip.subject, clip.name), (None, ""))
        for number, start in enumerate(range(0, index.count, options.chunk_frames)):
            stop = min(start + options.chunk_frames, index.count)
            labels = clip.labels
            if labels is not None:
                labels = replace(labels, values=labels.values[start:stop])
            yield ChunkTask(
                clip=replace(clip, labels=labels),
                index=index.part(start, stop),
                start=start,
                stop=stop,
                path=shard_path(work, clip.subject, clip.name, number),
                options=options,
                dataset_options=dataset_options,
                detector=f"{backend[0]} {mark}" if recorded else backend[0],
                weights=backend[1].weights,
                refiner=backend[1].refiner,
                recorded=recorded,
                clip_frames=index.count,
            )


def _remove_surplus(
    indices: list[tuple[Clip, FrameIndex]], work: Path, options: PreprocessOptions
) -> None:
    """Remove shards beyond the end of a clip that has become shorter."""
    for clip, index in indices:
        count = -(-index.count // options.chunk_frames)
        for path in shard_path(work, clip.subject, clip.name, 0).parent.glob("*.h5"):
            if path.stem.isdecimal() and int(path.stem) >= count:
                logger.warning("%s: beyond the end of its clip; removed", path)
                path.unlink(missing_ok=True)
