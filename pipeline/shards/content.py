"""What a shard holds in memory: its header, the arrays of its frames and of the 3D fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES

# Of a work folder.
SHARD_FOLDER = "shards"
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

    Attributes
    ----------
    dataset, subject, clip : str
        Names.
    start, stop : int
        Chunk range: frame indices in the clip, from 0, stop excluded.
    source : str
        Path of the video or image folder, relative to the dataset's root.
    source_size : int
        Of the source, bytes.
    source_hash : str
        SHA-256 of what the source holds, see `images.frames`.
    fps : float
        Frames a second; 0 where not known.
    frame_size : (int, int)
        Width and height, pixels.
    detector : str
        The backend's name and version.
    options : dict
        Of `preprocess`, by name.
    glee_version : str
        Of the glee that made it.
    au_names : tuple of str
        ("AU1", ...), one for each column of the labels.
    label_kind : str
        "occurrence", "intensity" or "none".
    landmark_definition : str
        What the 68 points mean, see `landmarks.detector.landmark_definition`.
    processor : str
        Kind of processor it was made on; "" in shards that were made before. It does not count when
        headers are compared: the same shard may be made on any.
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
    processor: str = field(default="", compare=False)


@dataclass(frozen=True, eq=False)
class FrameArrays:
    """Per-frame results of `preprocess`; n frames.

    Attributes
    ----------
    frame_id : (n,) int64
        The dataset's own numbers.
    valid : (n,) bool
        Whether a frame has a face that can be used.
    reason : (n,) uint8
        Index into REASONS.
    confidence : (n,) float32
        In [0, 1].
    landmarks : (n, 68, 2) float32
        Source pixels, NaN where missing.
    transform : (n, 2, 3) float64
        Source pixels to crop pixels, NaN where the frame is not valid.
    landmarks_dense : (n, 478, 2) or (n, 468, 2) float32, or None
        Source pixels, NaN where missing; None where dense points were not asked for.
    blendshapes : (n, 52) float16, or None
        What the backend's blendshape network makes of the frame, in [0, 1], in the order of
        `fitting.witness.BLENDSHAPES`; NaN where not valid. None where the backend has no network.
    visibility : (n, 7) float16, or None
        How far each part of the face is seen, in [0, 1], in the order of
        `fitting.visibility.PARTS`; NaN where not valid. None in shards that were made before.
    """

    frame_id: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]
    reason: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    transform: npt.NDArray[np.float64]
    landmarks_dense: npt.NDArray[np.float32] | None = None
    blendshapes: npt.NDArray[np.float16] | None = None
    visibility: npt.NDArray[np.float16] | None = None


@dataclass(frozen=True, eq=False)
class FitArrays:
    """Per-frame results of `fit3d`; n frames, NaN coefficients where a frame was not fitted.

    Attributes
    ----------
    f_exp : (n, e) float32
        Expression coefficients; e = 51 for the embedded model.
    f_exp_std : (n, e) float32
        Their standard deviation under the fit's own noise model.
    f_shape : (n, s) float32
        Identity coefficients, s = 60.
    pose : (n, 6) float64
        Rotation vector (radians) and translation (decimetres).
    energy : (n,) float32
        Value of Eq. 3.
    rmse : (n,) float32
        Root mean square distance of the landmarks, pixels.
    iterations : (n,) int32
        Of Levenberg-Marquardt.
    converged : (n,) bool
        Whether the fit came to its end.
    options : dict
        Every option that shaped the fit.
    model : str
        Name of the morphable model.
    expression_names : tuple of str
        (e,) what f_exp stands for.
    image_size : (int, int)
        Width and height, pixels.
    focal : float
        Focal length, pixels.
    model_sha256 : str
        The model's fingerprint; "" where a shard was fitted before there was one.
    processor : str
        Kind of processor it was fitted on; "" in shards that were fitted before.
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
    processor: str = ""


@dataclass(frozen=True, eq=False)
class EmbedArrays:
    """Per-frame results of `embed`: what the frozen identity model sees; n frames, d its width.

    Attributes
    ----------
    identity : (n, d) float16
        V_id of the crop's centre, NaN where a frame is not valid.
    identity_mirrored : (n, d) float16
        The same of the mirrored image.
    weights : str
        SHA-256 of the identity model with the sizes that it is given, in hexadecimal.
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
# What a blendshape network says, and of how many blendshapes.
BLENDSHAPES, BLENDSHAPE_COUNT = "blendshapes", 52
# How far a face's parts are seen, and how many parts.
VISIBILITY, PART_COUNT = "visibility", 7


def frame_datasets(
    dense: int | None, *, blendshapes: bool = False, visibility: bool = False
) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Lay out the group `frames`.

    Parameters
    ----------
    dense : int or None
        Dense points of a face; None for none.
    blendshapes : bool
        Whether there are those of a network.
    visibility : bool
        Whether it is known how far parts are seen.

    Returns
    -------
    dict
        Dataset -> (dtype, shape of one frame).

    Raises
    ------
    ValueError
        For a number of dense points that no backend has.
    """
    if dense not in (None, *DENSE_COUNTS):
        raise ValueError(f"{dense} dense points, not one of {DENSE_COUNTS}")
    layout = dict(FRAME_DATASETS)
    if dense is not None:
        layout[DENSE] = (np.float32, (dense, 2))
    if blendshapes:
        layout[BLENDSHAPES] = (np.float16, (BLENDSHAPE_COUNT,))
    if visibility:
        layout[VISIBILITY] = (np.float16, (PART_COUNT,))
    return layout


def fit_datasets(expressions: int, shapes: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Lay out the group `fit`.

    Parameters
    ----------
    expressions, shapes : int
        Expressions and identity modes of the model.

    Returns
    -------
    dict
        Dataset -> (dtype, shape of one frame).
    """
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
    """Lay out the group `embed`.

    Parameters
    ----------
    width : int
        Of the identity model's output.

    Returns
    -------
    dict
        Dataset -> (dtype, shape of one frame).
    """
    return {"identity": (np.float16, (width,)), "identity_mirrored": (np.float16, (width,))}


def check_place(header: ShardHeader, path: Path) -> None:
    """Refuse a shard of a work folder that lies where another subject or clip belongs.

    Parameters
    ----------
    header : ShardHeader
        What it says of itself.
    path : Path
        Where it lies: shards/SUBJECT/CLIP/NNNNNN.h5.

    Raises
    ------
    ShardError
        It would count as the other one's frames.
    """
    holds = f"{header.subject}/{header.clip}"
    if holds != "/".join(path.parts[-3:-1]):
        raise ShardError(
            f"{path}: holds {holds}, so it was moved or copied here; remove it and run "
            "`glee preprocess` again"
        )
