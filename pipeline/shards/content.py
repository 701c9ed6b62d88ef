"""What a shard holds in memory: its header, the arrays of its frames and of the 3D fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES

# Why a frame is or is not valid; `FrameArrays.reason` holds indices into this tuple. Written into
# every shard, so new reasons are only ever appended.
REASONS: tuple[str, ...] = (
    "ok",
    "no_face",
    "lost_track",
    "low_confidence",
    "implausible",
    "nan",
    "unreadable",
    "other_size",
)


@dataclass(frozen=True)
class ShardHeader:
    """Where a shard's frames come from and every option that shaped its content.

    start, stop: chunk range, frame indices in the clip (from 0, stop excluded).
    source: path of the video or image folder, relative to the dataset's root.
    source_size, source_hash: bytes, and SHA-256 of the head of the source.
    frame_size: (width, height), pixels. au_names: ("AU1", ...), one for each column of the labels.
    label_kind: "occurrence", "intensity" or "none". landmark_definition: what the 68 points mean,
    as `landmarks.detector.landmark_definition` has it.
    """

    dataset: str
    subject: str
    clip: str
    start: int
    stop: int
    source: str
    source_size: int
    source_hash: str
    fps: float
    frame_size: tuple[int, int]
    detector: str
    options: dict[str, Any]
    glee_version: str
    au_names: tuple[str, ...]
    label_kind: str
    landmark_definition: str = "ibug68"


@dataclass(frozen=True, eq=False)
class FrameArrays:
    """Per-frame results of `preprocess`; n frames.

    frame_id: (n,) int64, the dataset's own numbers. valid: (n,) bool. reason: (n,) uint8, index
    into REASONS. confidence: (n,) float32 in [0, 1]. landmarks: (n, 68, 2) float32, source pixels,
    NaN where missing. transform: (n, 2, 3) float64, source pixels to crop pixels, NaN where the
    frame is not valid. landmarks_dense: (n, 478, 2) or (n, 468, 2) float32, source pixels, NaN
    where missing; None where dense points were not asked for.
    """

    frame_id: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]
    reason: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    transform: npt.NDArray[np.float64]
    landmarks_dense: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class FitArrays:
    """Per-frame results of `fit3d`; n frames, NaN coefficients where a frame was not fitted.

    f_exp: (n, e) float32, e = 51 for the embedded model. f_exp_std: (n, e) float32, its standard
    deviation under the fit's own noise model. f_shape: (n, s) float32, s = 60. pose: (n, 6)
    float64, rotation vector (radians) and translation (decimetres). energy: (n,) float32, value of
    Eq. 3. rmse: (n,) float32, pixels. iterations: (n,) int32. converged: (n,) bool. options: every
    option that shaped the fit. model: name of the morphable model; model_sha256: its fingerprint,
    "" where a shard was fitted before there was one. expression_names: (e,) what f_exp stands for.
    image_size: (width, height), pixels. focal: pixels.
    """

    f_exp: npt.NDArray[np.float32]
    f_exp_std: npt.NDArray[np.float32]
    f_shape: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float32]
    rmse: npt.NDArray[np.float32]
    iterations: npt.NDArray[np.int32]
    converged: npt.NDArray[np.bool_]
    options: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    expression_names: tuple[str, ...] = ARKIT_NAMES
    image_size: tuple[int, int] = (0, 0)
    focal: float = float("nan")
    model_sha256: str = ""


@dataclass(frozen=True, eq=False)
class EmbedArrays:
    """Per-frame results of `embed`: what the frozen identity model sees; n frames, d its width.

    identity: (n, d) float16, V_id of the crop's centre, NaN where a frame is not valid.
    identity_mirrored: the same of the mirrored image. weights: SHA-256 of the identity model with
    the sizes that it is given, in hexadecimal.
    """

    identity: npt.NDArray[np.float16]
    identity_mirrored: npt.NDArray[np.float16]
    weights: str


# Dataset name -> (dtype, shape of one frame), for the group `frames`.
FRAME_DATASETS: dict[str, tuple[type, tuple[int, ...]]] = {
    "frame_id": (np.int64, ()),
    "valid": (np.bool_, ()),
    "reason": (np.uint8, ()),
    "confidence": (np.float32, ()),
    "landmarks": (np.float32, (68, 2)),
    "transform": (np.float64, (2, 3)),
}

# Dense points of a face: those of a face mesh with the irises, or without.
DENSE_COUNTS = (478, 468)
DENSE = "landmarks_dense"


def frame_datasets(dense: int | None) -> dict[str, tuple[type, tuple[int, ...]]]:
    """The same with so many dense points, None for none. Raises ValueError for another number."""
    if dense is None:
        return FRAME_DATASETS
    if dense not in DENSE_COUNTS:
        raise ValueError(f"{dense} dense points, not one of {DENSE_COUNTS}")
    return {**FRAME_DATASETS, DENSE: (np.float32, (dense, 2))}


def fit_datasets(expressions: int, shapes: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """The same for the group `fit` of a model with so many expressions and identity modes."""
    return {
        "f_exp": (np.float32, (expressions,)),
        "f_exp_std": (np.float32, (expressions,)),
        "f_shape": (np.float32, (shapes,)),
        "pose": (np.float64, (6,)),
        "energy": (np.float32, ()),
        "rmse": (np.float32, ()),
        "iterations": (np.int32, ()),
        "converged": (np.bool_, ()),
    }


def embed_datasets(width: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """The same for the group `embed` of an identity model of this width."""
    return {"identity": (np.float16, (width,)), "identity_mirrored": (np.float16, (width,))}
