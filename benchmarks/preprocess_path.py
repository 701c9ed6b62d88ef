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

STAGES = (
    *("decode", "detect", "landmarks", "track", "blendshapes", "align", "encode", "write", "fit3d"),
)
# Frames whose blendshapes are read at once, as a chunk's are.
TOGETHER = 8


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
    from glee.pipeline.shards.shard import read_shard, write_shard

    seconds: dict[str, float] = defaultdict(float)
    last = time.process_time()

    def passed(stage: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[stage] += now - last
        last = now

    landmarker = Landmarker(backend)
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    crops = []
    last = time.process_time()
    index = index_frames(clip)
    for image in read_frames(clip, index, 0, index.count):
        passed("decode")
        tracked = landmarker.follow(image)
        passed("track")
        transform = alignment_transform(tracked.landmarks)
        crop = align(image, transform, 200)
        passed("align")
        crops.append(encode_crop(crop))
        passed("encode")
    passed("decode")
    landmarker.blendshapes()
    passed("blendshapes")
    made = read_shard(shard)
    last = time.process_time()
    write_shard(shard.with_suffix(".again"), made.header, made.frames, crops, made.labels)
    passed("write")
    spent = landmarker.detector.seconds
    seconds.update(spent)
    seconds["track"] -= spent["detect"] + spent["landmarks"]
    return dict(seconds)


class Landmarker:
    """All that `preprocess` finds in a frame: landmarks, all points, what is seen, blendshapes."""

    def __init__(self, backend: str) -> None:
        from glee.pipeline.landmarks.backends import load_detector
        from glee.pipeline.landmarks.dense_landmarks import DenseDetector, has_blendshapes
        from glee.pipeline.landmarks.tracking import FaceTracker

        loaded = load_detector(backend)
        self._dense = DenseDetector(loaded) if has_blendshapes(loaded) else None
        self.detector = TimedDetector(self._dense or loaded)
        self._tracker = FaceTracker(self.detector)
        self._points: list[Any] = []

    def follow(self, image: NDArray[np.uint8] | None) -> Any:
        """The next frame's face, with its dense points kept."""
        from glee.pipeline.landmarks.visibility import seen_parts

        tracked = self._tracker.follow(image)
        if self._dense is not None and image is not None:
            seen = self._dense.seen_of(tracked.landmarks)
            self._points.append(self._dense.dense_of(tracked.landmarks))
            seen_parts(tracked.landmarks, (image.shape[1], image.shape[0]), seen)
        return tracked

    def blendshapes(self) -> None:
        """Of all frames so far, in groups as a chunk's."""
        for start in range(0, len(self._points), TOGETHER):
            assert self._dense is not None
            self._dense.blendshapes(np.stack(self._points[start : start + TOGETHER]))
        self._points.clear()


def landmarks_alone(video: Path, backend: str) -> float:
    """Processor seconds of all landmarks and blendshapes of frames that are in memory."""
    from glee.pipeline.clips import Clip
    from glee.pipeline.images.frames import index_frames, read_frames

    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    index = index_frames(clip)
    frames = list(read_frames(clip, index, 0, index.count))
    landmarker = Landmarker(backend)
    landmarker.follow(frames[0])
    begin = time.process_time()
    for image in frames:
        landmarker.follow(image)
    landmarker.blendshapes()
    return time.process_time() - begin


def measure(video: Path, backend: str, rounds: int, work: Path) -> dict[str, Any]:
    """Milliseconds a frame: medians over the rounds, after one that does not count."""
    import cv2

    cv2.setNumThreads(1)
    runs, parts, alone = [], [], []
    warm = whole(video, backend, work)
    for _ in range(rounds):
        runs.append(whole(video, backend, work))
        (shard,) = sorted((work / "shards").glob("*/*/*.h5"))
        parts.append(stages(video, backend, shard))
        alone.append(landmarks_alone(video, backend))
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
        "landmarks_ms": 1e3 * float(np.median(alone)) / frames,
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
