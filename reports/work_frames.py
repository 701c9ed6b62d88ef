"""What a report needs of a work folder's frames, gathered one shard at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..fitting.camera import rotation_matrix
from ..fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance
from ..pipeline.shards.shard import Shard, list_shards, read_shard
from ..pipeline.verification.labels import LabelledClip

Floats = npt.NDArray[np.float32]


@dataclass
class ClipFrames:
    """A clip's n frames in order; crops are left on disk.

    Attributes
    ----------
    subject, clip : str
        Names.
    fps : float
        Frames a second, 0 where not known.
    frame_id : (n,) int64
        The dataset's own number of each frame.
    reason : (n,) uint8
        Index into pipeline.shards.REASONS, 0 where the frame is valid.
    error : (n,) float32
        Fit residual over the inter-ocular distance, NaN where not fitted.
    yaw : (n,) float32, degrees
        Of the head, NaN where not fitted.
    jitter : (n,) float32
        Second difference of the landmarks over the inter-ocular distance.
    f_exp : (n, e) float32
        NaN where not fitted.
    labels : (n, a) int8
        -1 unknown.
    location : (n, 2) int64
        The shard's number and the row in it.
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
    location: npt.NDArray[np.int64]


@dataclass
class WorkFrames:
    """All clips of a work folder.

    Attributes
    ----------
    dataset, detector : str
        Names.
    clips : list of ClipFrames
        In the order of the shards.
    au_names : tuple of str
        Columns of the labels.
    names : tuple of str
        Of blendshapes, () where nothing is fitted.
    paths : list of Path
        Of the shards.
    fitted : int
        Shards with a fit.
    """

    dataset: str
    detector: str
    clips: list[ClipFrames]
    au_names: tuple[str, ...]
    names: tuple[str, ...]
    paths: list[Path]
    fitted: int

    def labelled(self) -> list[LabelledClip]:
        """Give the clips as `label_agreement` takes them."""
        return [LabelledClip(clip.frame_id, clip.labels, clip.f_exp) for clip in self.clips]

    def crop(self, clip: ClipFrames, row: int) -> npt.NDArray[np.uint8]:
        """Read the aligned face of a frame.

        Parameters
        ----------
        clip : ClipFrames
            One of `clips`.
        row : int
            The frame in it.

        Returns
        -------
        (size, size, 3) uint8
            RGB.
        """
        shard, inside = clip.location[row]
        return read_shard(self.paths[shard], verify=False).crop(int(inside))


def gather_frames(work: Path) -> WorkFrames:
    """Read all shards of a work folder.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    WorkFrames
        All frames but their crops.

    Raises
    ------
    ShardError
        Where there is no shard, or one is damaged.
    """
    paths = list_shards(work)
    clips: dict[tuple[str, str], list[ClipFrames]] = {}
    first: Shard | None = None
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
        if first is None:
            first = shard
    assert first is not None
    header = first.header
    joined = [_joined(chunks, np.concatenate(landmarks[key])) for key, chunks in clips.items()]
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
        location=np.stack([np.full(count, number), np.arange(count)], axis=1),
    )


def _joined(chunks: list[ClipFrames], landmarks: Floats) -> ClipFrames:
    first = chunks[0]
    return ClipFrames(
        subject=first.subject,
        clip=first.clip,
        fps=first.fps,
        frame_id=np.concatenate([chunk.frame_id for chunk in chunks]),
        reason=np.concatenate([chunk.reason for chunk in chunks]),
        error=np.concatenate([chunk.error for chunk in chunks]),
        yaw=np.concatenate([chunk.yaw for chunk in chunks]),
        jitter=_jitter(landmarks),
        f_exp=_f_exp(chunks),
        labels=np.concatenate([chunk.labels for chunk in chunks]),
        location=np.concatenate([chunk.location for chunk in chunks]),
    )


def _f_exp(chunks: list[ClipFrames]) -> Floats:
    """Of all chunks, (n, e), NaN where a shard is not fitted."""
    width = max(chunk.f_exp.shape[1] for chunk in chunks)
    return np.concatenate(
        [
            chunk.f_exp
            if chunk.f_exp.shape[1] == width
            else np.full((len(chunk.f_exp), width), np.nan, np.float32)
            for chunk in chunks
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
