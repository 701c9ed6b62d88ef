"""What tracking costs in landmark quality: detecting every 10th frame against every frame anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance, nme
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.synthesis.clips import read_truth, synthesise

SEEDS_BEFORE = 8000  # other seeds than those of tests, demos and calibrations
SIZE = (640, 480)


def drift(backend: str, seed: int, real: Path | None, *, quick: bool) -> dict[str, float]:
    """NME against the truth both ways, over the inner points; on a real video, the distance.

    ratio: NME with tracking over that of detecting every frame, less 1. real_distance: mean between
    the two, over the eye distance. valid: share of the frames in which both find the face.
    """
    tracked, anew, truth = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        videos = synthesise(
            Path(folder),
            subjects=2 if quick else 6,
            frames=20 if quick else 100,
            size=SIZE,
            seed=SEEDS_BEFORE + seed,
        )
        truths = sorted((Path(folder) / "truth").glob("*.h5"))
        for video, path in zip(sorted(videos), truths, strict=True):
            known = read_truth(path).landmarks
            one, other = both_ways(backend, video)
            tracked.append(one)
            anew.append(other)
            truth.append(known[backend if backend in known else "anatomical"])
    followed, found, true = (np.concatenate(part) for part in (tracked, anew, truth))
    both = np.isfinite(followed).all((1, 2)) & np.isfinite(found).all((1, 2))
    true = true.astype(np.float64)
    row = {
        "nme_tracked": nme(followed[both], true[both], INNER),
        "nme_detected": nme(found[both], true[both], INNER),
        "valid": float(both.mean()),
    }
    row["ratio"] = row["nme_tracked"] / row["nme_detected"] - 1.0
    if real is not None:
        one, other = both_ways(backend, real, most=50 if quick else None)
        scale = inter_ocular_distance(other)[:, None]
        distance = np.linalg.norm(one - other, axis=-1)[:, list(INNER)] / scale
        row["real_distance"] = float(np.nanmean(distance))
    return row


def both_ways(
    backend: str, video: Path, most: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks (n, 68, 2) of a video, NaN where not valid: tracked, and of every frame alone."""
    cv2.setNumThreads(1)
    detector = load_detector(backend)
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    index = index_frames(clip)
    tracker = FaceTracker(detector)
    one, other = [], []
    for image in read_frames(clip, index, 0, min(most or index.count, index.count)):
        for rows, follower in ((one, tracker), (other, FaceTracker(detector))):
            frame = follower.follow(image)
            missing = np.full((68, 2), np.nan)
            rows.append(frame.landmarks if frame.reason == "ok" else missing)
    return np.array(one, np.float64), np.array(other, np.float64)


def show(rows: dict[str, dict[str, Any]]) -> None:
    """The table."""
    print(
        f"\n{'tracking':10s} {'NME tracked':>12s} {'detected':>10s} {'ratio - 1':>10s} {'real':>8s}"
    )
    for name, row in rows.items():
        real = f"{row['real_distance']:8.4f}" if "real_distance" in row else ""
        print(
            f"{name:10s} {row['nme_tracked']:12.5f} {row['nme_detected']:10.5f} "
            f"{row['ratio']:10.4f} {real}"
        )
