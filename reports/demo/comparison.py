"""A fitted work folder of synthetic data beside the truth that it was rendered from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...fitting.camera import Camera
from ...fitting.morphable_model.model_file import load_model
from ...model.data.au_dataset import occurrence
from ...model.dataset_facts import dataset_facts
from ...pipeline.shards.shard import REASONS, FitArrays, Shard, list_shards, read_shard
from ...pipeline.synthesis.clips import TRUTH, Truth, read_truth

ANATOMICAL = "anatomical"
NOT_CONVERGED = "not_converged"


@dataclass(frozen=True, eq=False)
class ShardTruth:
    """A fitted shard of n frames and what is true of them.

    landmarks: (n, 68, 2) float32, source pixels, of the set that the detector means. f_exp:
    (n, 51) float32. pose: (n, 6) float64. camera: of the rendering.
    """

    shard: Shard
    landmarks: npt.NDArray[np.float32]
    f_exp: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    camera: Camera


@dataclass(frozen=True, eq=False)
class Comparison:
    """All frames of a work folder, measured and true; n frames, a AUs.

    parts: the shards, sorted. landmark_set: of the truth, the detector's own where the model has
    it. shard_index, row: (n,) int64, where each frame is. subject: (n,) str. outcome: (n,) str,
    "ok" or why there is no fit. landmarks, true_landmarks: (n, 68, 2) float32, source pixels.
    f_exp, true_f_exp: (n, 51) float32. pose, true_pose: (n, 6) float64. labels: (n, a) int8, 1
    present. expression_names: (51,), au_names: (a,).
    """

    parts: tuple[ShardTruth, ...]
    landmark_set: str
    shard_index: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    subject: npt.NDArray[np.str_]
    valid: npt.NDArray[np.bool_]
    outcome: npt.NDArray[np.str_]
    landmarks: npt.NDArray[np.float32]
    true_landmarks: npt.NDArray[np.float32]
    f_exp: npt.NDArray[np.float32]
    true_f_exp: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    true_pose: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8]
    expression_names: tuple[str, ...]
    au_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def fitted(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a frame has a fit."""
        return np.asarray(self.outcome == "ok")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({str(name) for name in self.subject}))

    @cached_property
    def dataset(self) -> str:
        """Name of the dataset's layout."""
        return self.parts[0].shard.header.dataset


def load_comparison(data: Path, work: Path) -> Comparison:
    """Read a work folder and the truth of the dataset that it was made from.

    data: root of a dataset that `synthesise` wrote. work: folder with fitted shards of it.

    Raises ShardError where a shard is damaged, DataError where one is not fitted or the truth is
    missing.
    """
    shards = [read_shard(path) for path in list_shards(work)]
    truths = {name: _truth(data, name) for name in sorted({s.header.subject for s in shards})}
    landmark_set = _landmark_set(shards[0], next(iter(truths.values())))
    parts = tuple(_part(shard, truths[shard.header.subject], landmark_set) for shard in shards)
    au_names = tuple(f"AU{au}" for au in dataset_facts(shards[0].header.dataset).aus)
    frames = [part.shard.frames for part in parts]
    fits = [_fit_of(part.shard) for part in parts]
    sizes = [len(part.shard) for part in parts]
    return Comparison(
        parts=parts,
        landmark_set=landmark_set,
        shard_index=np.repeat(np.arange(len(parts)), sizes),
        row=np.concatenate([np.arange(size) for size in sizes]),
        subject=np.repeat([part.shard.header.subject for part in parts], sizes),
        valid=np.concatenate([frame.valid for frame in frames]),
        outcome=np.concatenate([_outcome(part.shard) for part in parts]),
        landmarks=np.concatenate([frame.landmarks for frame in frames]),
        true_landmarks=np.concatenate([part.landmarks for part in parts]),
        f_exp=np.concatenate([fit.f_exp for fit in fits]),
        true_f_exp=np.concatenate([part.f_exp for part in parts]),
        pose=np.concatenate([fit.pose for fit in fits]),
        true_pose=np.concatenate([part.pose for part in parts]),
        labels=np.concatenate([occurrence(part.shard, au_names) for part in parts]),
        expression_names=load_model().expression_names,
        au_names=au_names,
    )


def _truth(data: Path, subject: str) -> Truth:
    return read_truth(data / TRUTH.format(subject=subject))


def _landmark_set(shard: Shard, truth: Truth) -> str:
    backend = shard.header.detector.split(" ")[0]
    return backend if backend in truth.landmarks else ANATOMICAL


def _part(shard: Shard, truth: Truth, landmark_set: str) -> ShardTruth:
    header = shard.header
    if len(truth.f_exp) < header.stop or landmark_set not in truth.landmarks:
        raise DataError(
            f"{header.subject}: the truth has {len(truth.f_exp)} frames, {shard.path} needs "
            f"{header.stop} with landmarks {landmark_set!r}; run again with --overwrite"
        )
    rows = slice(header.start, header.stop)
    return ShardTruth(
        shard,
        truth.landmarks[landmark_set][rows],
        truth.f_exp[rows],
        truth.pose[rows],
        truth.camera,
    )


def _fit_of(shard: Shard) -> FitArrays:
    if shard.fit is None:
        raise DataError(f"{shard.path}: holds no 3D fit; run `glee fit3d` first")
    return shard.fit


def _outcome(shard: Shard) -> npt.NDArray[np.str_]:
    fitted = _fit_of(shard).converged
    reasons = np.array(REASONS)[shard.frames.reason]
    return np.where((reasons == "ok") & ~fitted, NOT_CONVERGED, reasons)
