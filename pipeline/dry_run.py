"""What `preprocess` and `fit3d` would do: clips, chunks, bytes, and where; nothing is written."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import GleeError, OptionsError
from .cluster.cluster import available_cores
from .cluster.options import QUEUES, ClusterOptions, stage_cluster_options
from .datasets import find_content, shaping_options
from .images.frames import index_frames
from .landmarks.backends import BackendSettings, chosen_detector, refined_name, stated_detector
from .options import PreprocessOptions
from .preprocess import STAGE
from .shards.shard import list_shards, read_shard, shard_path
from .summary import progress_bar
from .work_folder import read_options

# Bytes of a crop pixel by encoding, with all else that a frame takes in a shard; see docs/hpc.md.
_BYTES_A_PIXEL = {"jpeg": 0.33, "png": 1.5, "raw": 3.0}
# Of a frame's fit: f_exp and its deviation, f_shape, pose, float32 and float64.
_BYTES_OF_A_FIT = 4 * (51 + 51 + 60) + 8 * 6 + 20


def preprocess_dry_run(
    dataset: str,
    root: Path,
    out: Path,
    options: PreprocessOptions,
    *,
    settings: BackendSettings | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    cluster_config: Path | None = None,
    progress: bool = True,
    dataset_options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Say what `preprocess` with these arguments would do.

    Parameters
    ----------
    dataset, root, out, options, workers, cluster, cluster_config, progress, dataset_options
        As in `preprocess`.
    settings : BackendSettings or None
        What the user tells the backend.

    Returns
    -------
    list of str
        Lines of text.

    Raises
    ------
    UsageError, DataError, WeightsError, OptionsError
        As `preprocess`.
    """
    options.check()
    settings = settings or BackendSettings()
    own = dict(dataset_options or {})
    detector = chosen_detector(options.detector, settings)
    detector, settings = stated_detector(refined_name(detector, options.refine), settings)
    options = replace(options, detector=detector)
    clips = [found.read() for found in find_content(dataset, Path(root), **own).clips]
    frames = chunks = there = broken = 0
    lines = []
    with progress_bar("index", len(clips), "clip", shown=progress) as bar:
        for clip in clips:
            bar.update(1)
            try:
                count = index_frames(replace(clip, labels=None), identify=False).count
            except GleeError as error:
                broken += 1
                lines.append(f"cannot be used: {error}")
                continue
            parts = math.ceil(count / options.chunk_frames)
            frames, chunks = frames + count, chunks + parts
            there += sum(
                shard_path(Path(out), clip.subject, clip.name, part).exists()
                for part in range(parts)
            )
    size = frames * options.crop_size**2 * _BYTES_A_PIXEL[options.encoding]
    subjects = len({clip.subject for clip in clips})
    stated = {"dataset": dataset, **options.stated(), **shaping_options(dataset, own)}
    return [
        *lines,
        f"{dataset}: {subjects} subjects, {len(clips)} clips, {frames} frames"
        + (f"; {broken} clips cannot be used" if broken else ""),
        f"preprocess by {options.detector}: {chunks} chunks of at most {options.chunk_frames} "
        f"frames, {there} shards there already; about {_size(size)} in {out}",
        *_room(Path(out), size * max(chunks - there, 0) / max(chunks, 1)),
        *_where(Path(out), chunks, cluster, workers, cluster_config),
        *_differences(Path(out), STAGE, stated),
    ]


def fit3d_dry_run(
    work: Path,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    cluster_config: Path | None = None,
) -> list[str]:
    """Say what `fit3d` would do in a work folder.

    Parameters
    ----------
    work, workers, cluster, cluster_config
        As in `fit3d`.

    Returns
    -------
    list of str
        Lines of text.

    Raises
    ------
    ShardError
        Where the folder holds no shards.
    UsageError
        Where the table [cluster] makes no sense.
    """
    paths = list_shards(Path(work))
    frames = fitted = broken = 0
    for path in paths:
        try:
            shard = read_shard(path, verify=False)
        except GleeError:
            broken += 1
            continue
        frames += len(shard)
        fitted += shard.fit is not None
    subjects = len({path.parent.parent.name for path in paths})
    damaged = f"; {broken} cannot be read, `glee verify` lists them" if broken else ""
    return [
        f"fit3d: {subjects} subjects, {len(paths)} shards, {frames} frames; {fitted} shards "
        f"fitted already{damaged}; about {_size(frames * _BYTES_OF_A_FIT)} more in {work}",
        *_room(Path(work), frames * _BYTES_OF_A_FIT),
        *_where(Path(work), len(paths), cluster, workers, cluster_config),
    ]


def _room(folder: Path, size: float) -> list[str]:
    """Says where the disk has less room than is needed; a quota may allow less than is free."""
    place = next((p for p in (folder, *folder.absolute().parents) if p.is_dir()), None)
    free = shutil.disk_usage(place).free if place is not None else math.inf
    if free >= size:
        return []
    return [f"too little room: {_size(free)} free there; free space, or choose another folder"]


def _where(
    work: Path, chunks: int, cluster: str | None, workers: int | None, config: Path | None
) -> list[str]:
    options = stage_cluster_options(work, config)
    spec = cluster or options.kind
    workers = workers or options.workers
    if spec in QUEUES:
        return [f"on {spec}: {_jobs(options, workers)}; `glee cluster preview` shows the script"]
    if spec == "local":
        return [f"on this machine: {min(workers or available_cores(), max(1, chunks))} workers"]
    return [f"on the workers of {spec}"]


def _jobs(options: ClusterOptions, workers: int | None) -> str:
    jobs = str(options.jobs)
    if workers is not None:
        jobs = str(math.ceil(workers / options.cores))
    elif options.adaptive:
        jobs = f"{options.minimum_jobs or 0} to {options.maximum_jobs}"
    return (
        f"{jobs} jobs of {options.cores} cores, {options.memory} and {options.walltime}, "
        f"partition {options.queue or 'of the site'}"
    )


def _differences(work: Path, stage: str, stated: dict[str, Any]) -> list[str]:
    try:
        before = read_options(work).get(stage)
    except OptionsError as error:
        return [str(error)]
    if before is None or before == stated:
        return []
    names = sorted(n for n in {*before, *stated} if before.get(n) != stated.get(n))
    return [f"would stop: {stage} ran here with other {', '.join(names)}; see --overwrite"]


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
