"""The 3D fit of a subject's identity and of a shard's frames: the units of work of `fit3d`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fitting.camera import Camera
from ..fitting.fit import Fit, FitOptions, fit
from ..fitting.frame_sample import spread_sample
from ..fitting.morphable_model import MorphableModel, load_model
from .shards import REASONS, FitArrays, Shard, add_fit, read_shard

NOT_CONVERGED = "not_converged"


@dataclass(frozen=True)
class SubjectTask:
    """All shards of a subject. options: fields of Fit3dOptions. again: fit what is fitted too."""

    subject: str
    paths: tuple[Path, ...]
    options: Mapping[str, Any]
    again: bool


@dataclass(frozen=True, eq=False)
class SubjectResult:
    """A subject's identity for the frames' fit.

    f_shape: (60,) float32, or None where each frame has its own or no frame is valid.
    sources: (one a path) digests of what the fit of that shard depends on. fitted: (one a path)
    whether the shard holds that very fit already.
    """

    f_shape: npt.NDArray[np.float32] | None
    sources: tuple[str, ...]
    fitted: tuple[bool, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class ShardTask:
    """One shard to fit. f_shape: (60,) float32 of its subject, or None. source: see above."""

    path: Path
    f_shape: npt.NDArray[np.float32] | None
    options: Mapping[str, Any]
    source: str
    keep: bool


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard's frames: reason -> frames, "ok" for the converged ones."""

    subject: str
    clip: str
    reasons: Mapping[str, int]
    steps: Mapping[str, float] = field(default_factory=dict)
    kept: bool = False


def fit_subject(task: SubjectTask) -> SubjectResult:
    """Fit one identity to a sample of a subject's frames, unless all its shards are fitted.

    Raises ShardError where a shard cannot be read, DataError where the model cannot.
    """
    begin = perf_counter()
    joint = task.options["identity"] == "subject"
    digests, candidates, before = [], [], []
    for path in task.paths:
        shard = read_shard(path, verify=False)
        digests.append(_landmark_digest(shard))
        before.append(None if shard.fit is None else shard.fit.options)
        if joint:
            landmarks = _valid_landmarks(shard)
            chosen = spread_sample(landmarks, int(task.options["sample_frames"]))
            candidates.append((shard.header.frame_size, _detector(shard), landmarks[chosen]))
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    sources = tuple(whole if joint else digest for digest in digests)
    fitted = tuple(
        not task.again and options == {**task.options, "source": source}
        for options, source in zip(before, sources, strict=True)
    )
    f_shape = _joint_identity(candidates, task.options) if joint and not all(fitted) else None
    return SubjectResult(f_shape, sources, fitted, perf_counter() - begin)


def fit_shard(task: ShardTask) -> ShardResult:
    """Fit every valid frame of a shard and write the result into it.

    Raises ShardError, DataError, OutputError.
    """
    begin = perf_counter()
    shard = read_shard(task.path)
    if task.keep and shard.fit is not None:
        return _result(shard, shard.fit.converged, kept=True)
    arrays = _fit_arrays(shard, task)
    middle = perf_counter()
    add_fit(task.path, arrays)
    steps = {"fit": middle - begin, "write": perf_counter() - middle}
    return _result(shard, arrays.converged, steps=steps)


def _result(
    shard: Shard,
    converged: npt.NDArray[np.bool_],
    *,
    steps: Mapping[str, float] | None = None,
    kept: bool = False,
) -> ShardResult:
    reasons: Counter[str] = Counter()
    for reason, done in zip(shard.frames.reason, converged, strict=True):
        reasons[NOT_CONVERGED if reason == 0 and not done else REASONS[reason]] += 1
    header = shard.header
    return ShardResult(header.subject, header.clip, dict(reasons), steps or {}, kept)


def _joint_identity(
    candidates: list[tuple[tuple[int, int], str, npt.NDArray[np.float64]]],
    options: Mapping[str, Any],
) -> npt.NDArray[np.float32] | None:
    """f_shape (60,) from frames spread over all shards of the most frequent frame size."""
    counts: Counter[tuple[tuple[int, int], str]] = Counter()
    for size, detector, landmarks in candidates:
        counts[size, detector] += len(landmarks)
    if not counts or max(counts.values()) == 0:
        return None
    size, detector = max(counts, key=lambda key: (counts[key], key))
    landmarks = np.concatenate([c[2] for c in candidates if c[:2] == (size, detector)])
    landmarks = landmarks[spread_sample(landmarks, int(options["sample_frames"]))]
    result = _run_fit(landmarks, size, detector, options, f_shape=None, joint=True)
    good = np.isfinite(result.f_shape).all(1)
    return np.asarray(result.f_shape[good][0], np.float32) if good.any() else None


def _fit_arrays(shard: Shard, task: ShardTask) -> FitArrays:
    header, options = shard.header, task.options
    landmarks = _valid_landmarks(shard)
    valid = shard.frames.valid
    joint = options["identity"] == "subject"
    result = _run_fit(
        landmarks,
        header.frame_size,
        _detector(shard),
        options,
        f_shape=task.f_shape,
        joint=joint,
    )
    known = valid & np.isfinite(result.pose).all(1)
    return FitArrays(
        f_exp=_masked(result.f_exp, known),
        f_exp_std=_masked(result.f_exp_std, known),
        f_shape=_masked(result.f_shape, known),
        pose=_masked(result.pose, known),
        energy=_masked(result.energy, known),
        rmse=_masked(result.rmse, known),
        iterations=np.where(known, result.iterations, 0).astype(np.int32),
        converged=np.asarray(result.converged, bool) & known,
        options={**options, "source": task.source},
        model=_model(options).name,
        expression_names=_model(options).expression_names,
        image_size=header.frame_size,
        focal=Camera.for_image(*header.frame_size, focal=options["focal"]).focal,
    )


def _run_fit(
    landmarks: npt.NDArray[np.float64],
    size: tuple[int, int],
    detector: str,
    options: Mapping[str, Any],
    *,
    f_shape: npt.NDArray[np.float32] | None,
    joint: bool,
) -> Fit:
    model = _model(options)
    return fit(
        landmarks,
        model,
        image_size=size,
        focal=options["focal"],
        landmark_set=detector if detector in model.landmarks else "anatomical",
        identity="subject" if joint else "frame",
        f_shape=f_shape,
        options=FitOptions(
            bounds=options["bounds"],
            regularisation=(options["expression_weight"], options["shape_weight"]),
            curves=options["curves"],
            robust=options["robust"],
            identity_frames=options["sample_frames"],
        ),
    )


def _model(options: Mapping[str, Any]) -> MorphableModel:
    return load_model(None if options["model"] is None else Path(options["model"]))


def _detector(shard: Shard) -> str:
    return shard.header.detector.split(" ")[0]


def _valid_landmarks(shard: Shard) -> npt.NDArray[np.float64]:
    """(n, 68, 2) float64, source pixels, NaN where a frame is not valid."""
    landmarks = shard.frames.landmarks.astype(np.float64)
    landmarks[~shard.frames.valid] = np.nan
    return landmarks


def _masked(values: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    out = np.array(values, copy=True)
    out[~known] = np.nan
    return out


def _landmark_digest(shard: Shard) -> str:
    digest = hashlib.sha256(repr((shard.header.frame_size, shard.header.detector)).encode())
    digest.update(np.ascontiguousarray(shard.frames.valid).tobytes())
    digest.update(np.ascontiguousarray(shard.frames.landmarks).tobytes())
    return digest.hexdigest()
