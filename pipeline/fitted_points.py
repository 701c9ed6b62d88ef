"""What `fit3d` fits of a shard's frames: landmarks, and dense points where they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..fitting.track_noise import TrackNoise
from .clip_smoothing import smoothed_chunk
from .shards.shard import Shard

# How dense points are used: with the landmarks, or in their place.
DENSE_BESIDE, DENSE_ONLY = "beside", "only"

Landmarks = npt.NDArray[np.float64]


def fitted_points(
    path: Path, shard: Shard, track: TrackNoise | None, options: Mapping[str, Any]
) -> Landmarks:
    """What is fitted of a shard's frames: landmarks (n, 68, 2), and dense points behind them.

    Dense points are not smoothed. Raises UsageError where the shard has none.
    """
    landmarks = smoothed_chunk(path, shard, track)
    if not options.get("dense"):
        return landmarks
    if shard.frames.landmarks_dense is None:
        raise UsageError(f"{path}: holds no dense points; run `glee preprocess` with --dense")
    dense = shard.frames.landmarks_dense.astype(np.float64)
    dense[~shard.frames.valid] = np.nan
    return np.concatenate([landmarks, dense], axis=1)


def with_defaults(options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Options of a fit that was made before there were dense points."""
    return None if options is None else {"dense": None, **options}


def points_digest(shard: Shard, *, dense: bool = False) -> str:
    """SHA-256, in hexadecimal, of what a shard's fit depends on."""
    digest = hashlib.sha256(repr((shard.header.frame_size, shard.header.detector)).encode())
    digest.update(np.ascontiguousarray(shard.frames.valid).tobytes())
    digest.update(np.ascontiguousarray(shard.frames.landmarks).tobytes())
    if dense and shard.frames.landmarks_dense is not None:
        digest.update(np.ascontiguousarray(shard.frames.landmarks_dense).tobytes())
    return digest.hexdigest()
