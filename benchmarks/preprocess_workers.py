"""Two workers against one, the memory of a worker, and a clip of very many frames."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glee.pipeline.chunk import ChunkTask, make_shard
from glee.pipeline.clips import Clip
from glee.pipeline.cluster.cluster import Cluster, open_cluster
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.frames import index_frames
from glee.pipeline.landmarks.backends import chosen_detector, load_detector
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.clips import synthesise

SIZE = (320, 240)
# Frames that are rendered once and repeated, there and back.
RENDERED = 60


def chunk_tasks(clip: Clip, work: Path, frames: int, options: PreprocessOptions) -> list[ChunkTask]:
    """The chunks of a clip as `preprocess` makes them, with shards in a folder of their own."""
    options = replace(options, detector=chosen_detector(options.detector))
    backend = load_detector(options.detector)
    index = index_frames(clip)
    count = min(index.count, frames)
    return [
        ChunkTask(
            clip=clip,
            index=index.part(start, min(start + options.chunk_frames, count)),
            start=start,
            stop=min(start + options.chunk_frames, count),
            path=work / f"{start:08d}.h5",
            options=options,
            detector=f"{backend.name} {backend.version}",
        )
        for start in range(0, count, options.chunk_frames)
    ]


def scaling(video: Path, *, quick: bool) -> dict[str, float]:
    """Frames a second of one and of two workers, wall clock, once they have started."""
    options = PreprocessOptions(chunk_frames=59 if quick else 118)
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    rates, starts = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            begin = time.perf_counter()
            with open_cluster("local", workers) as cluster:
                warm = chunk_tasks(clip, Path(folder) / f"warm{workers}", 472, options)
                _finish(cluster, warm[: 2 * workers])
                starts[workers] = time.perf_counter() - begin
                rates[workers] = _rate(cluster, clip, Path(folder) / str(workers), options, quick)
    return {
        "one_fps": rates[1],
        "two_fps": rates[2],
        "ratio": rates[2] / rates[1],
        "start_1_s": starts[1],
        "start_2_s": starts[2],
    }


def _rate(
    cluster: Cluster, clip: Clip, folder: Path, options: PreprocessOptions, quick: bool
) -> float:
    tasks: list[ChunkTask] = []
    for number in range(1 if quick else 6):
        tasks += chunk_tasks(clip, folder / str(number), 472, options)
    begin = time.perf_counter()
    _finish(cluster, tasks)
    return sum(task.stop - task.start for task in tasks) / (time.perf_counter() - begin)


def _finish(cluster: Cluster, tasks: list[ChunkTask]) -> None:
    for outcome in cluster.run(make_shard, tasks):
        if outcome.error is not None:
            raise outcome.error


def worker_memory(video: Path, detector: str) -> float:
    """Peak MB of a process that does what a worker does: `preprocess` and `fit3d` of a video.

    In a process of its own, so that nothing else is counted.
    """
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import preprocess_workers as p; "
        "p.print_worker_memory(sys.argv[2], sys.argv[3])"
    )
    arguments = [str(Path(__file__).parent), str(video), detector]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def print_worker_memory(video: str, detector: str) -> None:
    """In the process of `worker_memory`: the most that one of two Dask workers has taken, MB."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        options = PreprocessOptions(detector=detector, chunk_frames=118)
        root = Path(video).parent
        preprocess("folder", root, work, options=options, workers=2, progress=False)
        fit3d(work, workers=2, progress=False)
    # Of the children that have ended, the largest; and this process is no worker.
    print(json.dumps(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))


def write_long_clip(path: Path, frames: int, seed: int) -> None:
    """A video of so many frames: a rendered person's few, there and back again and again."""
    with tempfile.TemporaryDirectory() as folder:
        (video,) = synthesise(Path(folder), subjects=1, frames=RENDERED, size=SIZE, seed=seed)
        capture = cv2.VideoCapture(str(video))
        images = [capture.read()[1] for _ in range(RENDERED)]
        capture.release()
    way = [*images, *images[-2:0:-1]]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"XVID"), 25.0, SIZE)
    for number in range(frames):
        writer.write(way[number % len(way)])
    writer.release()


def long_clip(frames: int, seed: int) -> dict[str, Any]:
    """Processor time a frame and memory, chunk after chunk, of a long clip in a new process."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import preprocess_workers as p; "
        "p.print_long_clip(sys.argv[2])"
    )
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "long.avi"
        write_long_clip(video, frames, 8500 + seed)
        arguments = [str(Path(__file__).parent), str(video)]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
        )
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    part = max(len(content["ms"]) // 10, 1)
    first, last = (
        float(np.median(x)) for x in (content["ms"][1 : part + 1], content["ms"][-part:])
    )
    return {
        **content,
        "first_ms": first,
        "last_ms": last,
        "time_ratio": last / first,
        "memory_growth_mb": content["mb"][-1] - content["mb"][min(1, len(content["mb"]) - 1)],
    }


def print_long_clip(video: str) -> None:
    """In the process of `long_clip`: every chunk's milliseconds a frame and the memory after it."""
    cv2.setNumThreads(1)
    clip = Clip("benchmark", "subject", "long", Path(video).parent, Path(video))
    begin = time.process_time()
    tasks = chunk_tasks(
        clip, Path(video).parent / "work", 10**9, PreprocessOptions(detector="mesh")
    )
    index_s = time.process_time() - begin
    # A shorter last chunk has another share of what is done once a chunk.
    tasks = [task for task in tasks if task.stop - task.start == tasks[0].stop - tasks[0].start]
    make_shard(replace(tasks[0], path=tasks[0].path.with_name("warm.h5")))
    times, memory = [], []
    for task in tasks:
        begin = time.process_time()
        make_shard(task)
        times.append((time.process_time() - begin) / (task.stop - task.start) * 1e3)
        memory.append(_resident_mb())
        task.path.unlink()
    frames = tasks[-1].stop
    print(json.dumps({"frames": frames, "index_s": index_s, "ms": times, "mb": memory}))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
