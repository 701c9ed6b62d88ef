"""Faces of many rendered people, with DISFA's labels, in one work folder.

DISFA has 27 subjects; more people come from further datasets with seeds of their own.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.hdf5 import open_shard
from glee.pipeline.shards.shard import list_shards, read_shard, shard_path, write_shard
from glee.pipeline.synthesis.dataset import synthesise_dataset

# Far enough apart that two frames of a person show two expressions.
FRAMES_PER_SECOND, SIZE = 3.0, (360, 360)
WORKERS = os.cpu_count() or 1


def make_faces(folder: Path, datasets: int, people: int, faces: int, *, seed: int) -> Path:
    """A work folder with `faces` frames of each of `datasets` x `people` persons.

    Subjects are named `12-SN001`: seed of the dataset, name within it. What is there already stays.
    """
    work = folder / "work/faces"
    for own in range(seed, seed + datasets):
        data, part = folder / f"data/disfa-{own}", folder / f"work/disfa-{own}"
        done = part / ".copied"
        if done.exists():
            continue
        synthesise_dataset(
            data,
            subjects=people,
            frames=faces,
            size=SIZE,
            seed=own,
            fps=FRAMES_PER_SECOND,
            workers=WORKERS,
        )
        options = PreprocessOptions(detector="auto")
        preprocess("disfa", data, part, options=options, workers=WORKERS, progress=False)
        for path in list_shards(part):
            _copy_as(path, work, f"{own}-")
        done.touch()
    return work


def _copy_as(path: Path, work: Path, prefix: str) -> None:
    """A shard in another work folder, its subject under a name that occurs once there."""
    shard = read_shard(path)
    header = replace(shard.header, subject=prefix + shard.header.subject)
    with open_shard(path) as file:
        pool = file["crops/data"][()]
    ends = zip(shard.crop_offset[:-1], shard.crop_offset[1:], strict=True)
    crops = [pool[begin:end].tobytes() for begin, end in ends]
    write_shard(
        shard_path(work, header.subject, header.clip, int(path.stem)),
        header,
        shard.frames,
        crops,
        shard.labels,
        encoding=shard.encoding,
        crop_size=shard.crop_size,
    )
