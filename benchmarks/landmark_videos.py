"""Runs a detector over videos as the pipeline does, and looks at what it makes of real ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from landmark_levers import smoothed
from landmark_measures import disagreement, gaps, jitter
from numpy.typing import NDArray

from glee.errors import UsageError
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.dense_landmarks import DenseDetector
from glee.pipeline.landmarks.detector import Detector
from glee.pipeline.landmarks.tracking import FaceTracker

Floats = NDArray[np.float64]

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
# Frames from 0 in which the lids are closed, or nearest to it, in the middle of each blink; and
# the frames that were looked through, one by one. Outside these the eyes are closed for long,
# behind a hand, or look down. Counted by eye.
BLINKS: dict[str, tuple[range, tuple[int, ...]]] = {
    "single_face.mp4": (range(0, 72), (27,)),
    "WolfgangLanger_Pexels.mp4": (range(145, 415), (154, 202, 249, 288, 386)),
}
NO_FACE = "no_face.mp4"
# A blink: the lid gap falls below this share of its median over so many frames to both sides.
CLOSED, AROUND = 0.6, 25
NEAR = 3  # frames between a blink that was found and one that was counted


@dataclass(frozen=True, eq=False)
class Track:
    """A detector's way through a video: landmarks (n, 68, 2), NaN where not valid; (n,) valid.

    dense: (n, 478, 2), NaN where not valid; None where the backend has no dense points.

    ms: CPU time of this thread a frame, for detection, tracking and landmarks, without decoding.
    """

    landmarks: Floats
    valid: NDArray[np.bool_]
    ms: float
    dense: Floats | None


def track(backend: str, video: Path) -> Track:
    """Follow the face of a video, from its first frame to its last."""
    cv2.setNumThreads(1)
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    index = index_frames(clip)
    frames = list(read_frames(clip, index, 0, index.count))
    detector = with_dense(load_detector(backend))
    dense: list[Floats] = []
    FaceTracker(detector).follow(frames[0])  # what a process does once
    tracker = FaceTracker(detector)
    begin = time.thread_time()
    followed = []
    for frame in frames:
        followed.append(tracker.follow(frame))
        if isinstance(detector, DenseDetector):
            dense.append(detector.dense_of(followed[-1].landmarks).astype(np.float64))
    ms = (time.thread_time() - begin) / len(frames) * 1e3
    valid = np.array([frame.reason == "ok" for frame in followed])
    landmarks = np.stack([frame.landmarks for frame in followed]).astype(np.float64)
    landmarks[~valid] = np.nan
    every = np.stack(dense) if dense else None
    if every is not None:
        every[~valid] = np.nan
    return Track(landmarks, valid, ms, every)


def with_dense(detector: Detector) -> Detector:
    """The backend with its dense points at hand, where it has such."""
    try:
        return DenseDetector(detector)
    except UsageError:
        return detector


def blinks_in(lid_gap: Floats) -> list[int]:
    """The frames of the smallest lid gap of every blink."""
    found: list[int] = []
    median = np.array(
        [np.nanmedian(lid_gap[max(i - AROUND, 0) : i + AROUND + 1]) for i in range(len(lid_gap))]
    )
    closed = lid_gap < CLOSED * median
    start = None
    for frame in range(len(closed) + 1):
        inside = frame < len(closed) and bool(closed[frame])
        if inside and start is None:
            start = frame
        elif not inside and start is not None:
            found.append(start + int(np.nanargmin(lid_gap[start:frame])))
            start = None
    return found


def blinks(track: Track, name: str) -> dict[str, Any]:
    """Blinks that were counted by eye, those of them that are found, and others."""
    frames, counted = BLINKS[name]
    found = [i + frames.start for i in blinks_in(gaps(track.landmarks)["lid_gap"][frames])]
    hit = [one for one in counted if any(abs(one - other) <= NEAR for other in found)]
    false = [one for one in found if all(abs(one - other) > NEAR for other in counted)]
    return {"counted": len(counted), "found": len(hit), "false": len(false)}


def real_videos(backends: list[str], folder: Path = REAL) -> dict[str, Any] | None:
    """Validity, jitter, blinks and disagreement on the real videos; None where there are none."""
    if not all((folder / name).exists() for name in (*BLINKS, NO_FACE)):
        print(f"{folder}: real videos are not there; their rows are left out")
        return None
    tracks = {b: {v: track(b, folder / v) for v in (*BLINKS, NO_FACE)} for b in backends}
    rows: dict[str, Any] = {}
    for backend, of in tracks.items():
        counts = [blinks(of[video], video) for video in BLINKS]
        rows[backend] = {
            "valid": {video: float(of[video].valid.mean()) for video in of},
            "jitter": float(np.mean([jitter(of[video].landmarks) for video in BLINKS])),
            "jitter_smoothed": float(
                np.mean([jitter(smoothed(of[video].landmarks)) for video in BLINKS])
            ),
            "blinks": {key: sum(count[key] for count in counts) for key in counts[0]},
            "ms": float(np.mean([of[video].ms for video in BLINKS])),
        }
    between = {}
    for place, one in enumerate(backends):
        for other in backends[place + 1 :]:
            pairs = [
                disagreement(tracks[one][v].landmarks, tracks[other][v].landmarks) for v in BLINKS
            ]
            between[f"{one} - {other}"] = {
                k: float(np.mean([p[k] for p in pairs])) for k in pairs[0]
            }
    return {"backends": rows, "disagreement": between}
