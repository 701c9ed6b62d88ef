"""Processor time a frame of the whole path, and of each of its stages, in a process on one core.

    python benchmarks/preprocess_path.py VIDEO BACKEND ROUNDS WORK

Prints JSON. The whole is `glee preprocess` and `glee fit3d` with one worker, shards on disk, as
they stand; the stages are those of the same functions called one after the other. What a process
does once (imports, weights, compiled code) comes before.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glee.pipeline.landmarks.detector import Detector, Wrapped

STAGES = ("decode", "detect", "landmarks", "track", "align", "encode", "write", "fit3d")


class TimedDetector(Wrapped):
    """A backend whose processor time is added up, detection and landmarks apart."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self.seconds = {"detect": 0.0, "landmarks": 0.0}

    def detect(self, image: NDArray[np.uint8], *, thorough: bool = False) -> Any:
        """As the backend does."""
        begin = time.process_time()
        found = super().detect(image, thorough=thorough)
        self.seconds["detect"] += time.process_time() - begin
        return found

    def landmarks(self, image: NDArray[np.uint8], box: Any) -> Any:
        """As the backend does."""
        begin = time.process_time()
        found = super().landmarks(image, box)
        self.seconds["landmarks"] += time.process_time() - begin
        return found


def whole(video: Path, backend: str, work: Path) -> dict[str, float]:
    """Processor seconds of both stages as a user runs them, and the frames."""
    from glee.pipeline.fit3d import fit3d
    from glee.pipeline.options import PreprocessOptions
    from glee.pipeline.preprocess import preprocess

    shutil.rmtree(work, ignore_errors=True)
    times = [time.process_time()]
    summary = preprocess(
        "folder",
        video.parent,
        work,
        options=PreprocessOptions(detector=backend),
        workers=1,
        progress=False,
    )
    times.append(time.process_time())
    fit3d(work, workers=1, progress=False)
    times.append(time.process_time())
    preprocessing, fitting = (float(seconds) for seconds in np.diff(times))
    frames = sum(clip.frames for clip in summary.clips)
    valid = sum(clip.valid for clip in summary.clips)
    return {"preprocess": preprocessing, "fit3d": fitting, "frames": frames, "valid": valid}


def stages(video: Path, backend: str, shard: Path) -> dict[str, float]:
    """Processor seconds of decoding, detecting and so on; the shard's arrays are written again."""
    from glee.pipeline.clips import Clip
    from glee.pipeline.images.crops import align, alignment_transform, encode_crop
    from glee.pipeline.images.frames import index_frames, read_frames
    from glee.pipeline.landmarks.backends import load_detector
    from glee.pipeline.landmarks.tracking import FaceTracker
    from glee.pipeline.shards.shard import read_shard, write_shard

    seconds: dict[str, float] = defaultdict(float)
    last = time.process_time()

    def passed(stage: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[stage] += now - last
        last = now

    detector = TimedDetector(load_detector(backend))
    tracker = FaceTracker(detector)
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    crops = []
    last = time.process_time()
    index = index_frames(clip)
    for image in read_frames(clip, index, 0, index.count):
        passed("decode")
        tracked = tracker.follow(image)
        passed("track")
        transform = alignment_transform(tracked.landmarks)
        crop = align(image, transform, 200)
        passed("align")
        crops.append(encode_crop(crop))
        passed("encode")
    passed("decode")
    made = read_shard(shard)
    last = time.process_time()
    write_shard(shard.with_suffix(".again"), made.header, made.frames, crops, made.labels)
    passed("write")
    seconds.update(detector.seconds)
    seconds["track"] -= detector.seconds["detect"] + detector.seconds["landmarks"]
    return dict(seconds)


def measure(video: Path, backend: str, rounds: int, work: Path) -> dict[str, Any]:
    """Milliseconds a frame: medians over the rounds, after one that does not count."""
    import cv2

    cv2.setNumThreads(1)
    runs, parts = [], []
    warm = whole(video, backend, work)
    for _ in range(rounds):
        runs.append(whole(video, backend, work))
        (shard,) = sorted((work / "shards").glob("*/*/*.h5"))
        parts.append(stages(video, backend, shard))
    frames = warm["frames"]

    def ms(rows: list[dict[str, float]], name: str) -> float:
        return float(np.median([row[name] for row in rows])) / frames * 1e3

    row = {name: ms(parts, name) for name in parts[0]}
    row["fit3d"] = ms(runs, "fit3d")
    total = ms(runs, "preprocess") + row["fit3d"]
    return {
        "frames": int(frames),
        "valid": int(warm["valid"]),
        "ms": total,
        "rounds_ms": [1e3 * (run["preprocess"] + run["fit3d"]) / frames for run in runs],
        "stages": {name: row[name] for name in STAGES} | {"rest": total - sum(row.values())},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Command line of the subprocess."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    video, backend, rounds, work = sys.argv[1:]
    print(json.dumps(measure(Path(video), backend, int(rounds), Path(work))))


if __name__ == "__main__":
    main()
