"""What a report needs of a work folder's frames, gathered one shard at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError, in_shell
from ..fitting.camera import rotation_matrix
from ..fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance
from ..pipeline.shards.shard import SHARD_FOLDER, Shard, list_shards, read_shard
from ..pipeline.verification.labels import LabelledClip

Floats = npt.NDArray[np.float32]


@dataclass
class ClipFrames:
    """A clip's frames, n of them, in order; crops are left on disk.

    reason: (n,) uint8. error: (n,) float32, fit residual over the inter-ocular distance, NaN where
    not fitted. yaw: (n,) degrees. jitter: (n,) second difference of the landmarks over the same.
    place: (n, 2) the shard's number and the row in it.
    """

    subject: str
    clip: str
    fps: float
    frame_id: npt.NDArray[np.int64]
    reason: npt.NDArray[np.uint8]
    error: Floats
    yaw: Floats
    jitter: Floats
    f_exp: Floats
    labels: npt.NDArray[np.int8]
    place: npt.NDArray[np.int64]


@dataclass
class WorkFrames:
    """All clips. names: of blendshapes, () where nothing is fitted. paths: of the shards."""

    dataset: str
    detector: str
    clips: list[ClipFrames]
    au_names: tuple[str, ...]
    names: tuple[str, ...]
    paths: list[Path]
    fitted: int
    options: dict[str, object] = field(default_factory=dict)

    def labelled(self) -> list[LabelledClip]:
        """Clips as `label_agreement` takes them."""
        return [LabelledClip(clip.frame_id, clip.labels, clip.f_exp) for clip in self.clips]

    def crop(self, clip: ClipFrames, row: int) -> npt.NDArray[np.uint8]:
        """The aligned face (size, size, 3) uint8 RGB of a frame."""
        shard, inside = clip.place[row]
        return read_shard(self.paths[shard], verify=False).crop(int(inside))


def gather_frames(work: Path) -> WorkFrames:
    """Read all shards of a work folder. Raises DataError where there is none, ShardError."""
    if not (Path(work) / SHARD_FOLDER).is_dir() or not (paths := list_shards(work)):
        raise DataError(
            f"{work}: holds no shards; `glee preprocess --out {in_shell(work)}` makes them"
        )
    clips: dict[tuple[str, str], list[ClipFrames]] = {}
    seen: list[Shard] = []
    landmarks: dict[tuple[str, str], list[Floats]] = {}
    names: tuple[str, ...] = ()
    fitted = 0
    for number, path in enumerate(paths):
        shard = read_shard(path, verify=False)
        key = shard.header.subject, shard.header.clip
        clips.setdefault(key, []).append(_frames(shard, number))
        landmarks.setdefault(key, []).append(shard.frames.landmarks)
        if shard.fit is not None:
            names, fitted = shard.fit.expression_names, fitted + 1
        seen = seen or [shard]
    header = seen[0].header
    joined = [_joined(parts, np.concatenate(landmarks[key])) for key, parts in clips.items()]
    return WorkFrames(
        header.dataset, header.detector, joined, header.au_names, names, paths, fitted
    )


def _frames(shard: Shard, number: int) -> ClipFrames:
    count, fit = len(shard.frames.valid), shard.fit
    unit = inter_ocular_distance(shard.frames.landmarks.astype(np.float64))
    nothing = np.full(count, np.nan, np.float32)
    error, yaw = nothing, nothing
    f_exp = np.full((count, 0), np.nan, np.float32)
    if fit is not None:
        error = np.where(fit.converged, fit.rmse / unit, np.nan).astype(np.float32)
        forward = rotation_matrix(fit.pose[:, :3].astype(np.float64))[:, :, 2]
        yaw = np.degrees(np.arctan2(forward[:, 0], forward[:, 2])).astype(np.float32)
        f_exp = fit.f_exp
    return ClipFrames(
        subject=shard.header.subject,
        clip=shard.header.clip,
        fps=shard.header.fps,
        frame_id=shard.frames.frame_id,
        reason=shard.frames.reason,
        error=error,
        yaw=yaw,
        jitter=nothing,
        f_exp=f_exp,
        labels=shard.labels,
        place=np.stack([np.full(count, number), np.arange(count)], axis=1),
    )


def _joined(parts: list[ClipFrames], landmarks: Floats) -> ClipFrames:
    first = parts[0]
    return ClipFrames(
        subject=first.subject,
        clip=first.clip,
        fps=first.fps,
        frame_id=np.concatenate([part.frame_id for part in parts]),
        reason=np.concatenate([part.reason for part in parts]),
        error=np.concatenate([part.error for part in parts]),
        yaw=np.concatenate([part.yaw for part in parts]),
        jitter=_jitter(landmarks),
        f_exp=_f_exp(parts),
        labels=np.concatenate([part.labels for part in parts]),
        place=np.concatenate([part.place for part in parts]),
    )


def _f_exp(parts: list[ClipFrames]) -> Floats:
    """Of all parts, (n, e), NaN where a shard is not fitted."""
    width = max(part.f_exp.shape[1] for part in parts)
    return np.concatenate(
        [
            part.f_exp
            if part.f_exp.shape[1] == width
            else np.full((len(part.f_exp), width), np.nan, np.float32)
            for part in parts
        ]
    )


def _jitter(landmarks: Floats) -> Floats:
    """Second difference of the inner landmarks in time over the inter-ocular distance, (n,)."""
    out = np.full(len(landmarks), np.nan, np.float32)
    if len(landmarks) > 2:
        points = landmarks[:, list(INNER)].astype(np.float64)
        second = points[:-2] - 2 * points[1:-1] + points[2:]
        unit = inter_ocular_distance(landmarks.astype(np.float64))[1:-1]
        out[1:-1] = np.linalg.norm(second, axis=2).mean(axis=1) / unit
    return out
