"""What was made beside the truth.

A fitted work folder of synthetic data beside the truth that it was rendered from.

The 3D fit on the truth's own landmarks: what is lost by the fit alone, without a detector.

How far measured landmarks, coefficients and poses are from the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError, GleeError
from ...fitting.camera import Camera, rotation_matrix
from ...fitting.fit import fit
from ...fitting.morphable_model.landmark_scheme import (
    COUNT,
    INNER,
    REGIONS,
    inter_ocular_distance,
    nme,
)
from ...fitting.morphable_model.model_file import load_model
from ...model.data.au_dataset import dataset_facts, occurrence
from ...pipeline.cluster.cluster import open_cluster
from ...pipeline.shards.shard import REASONS, FitArrays, Shard, list_shards, read_shard
from ...pipeline.summary import progress_bar
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


@dataclass(frozen=True, eq=False)
class FitTask:
    """A subject's true landmarks (n, 68, 2), source pixels. size: (width, height), pixels."""

    subject: str
    landmarks: npt.NDArray[np.float32]
    landmark_set: str
    size: tuple[int, int]
    focal: float


@dataclass(frozen=True, eq=False)
class TrueLandmarkFit:
    """Fits of n frames; NaN where one did not converge.

    f_exp: (n, 51) float32. pose: (n, 6) float64. reprojection: (n,) float64, mean distance of the
    fitted landmarks from the true ones over the inter-ocular distance. residual: (n,) float64, root
    mean square of D of Eq. 3 over the same.
    """

    f_exp: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    reprojection: npt.NDArray[np.float64]
    residual: npt.NDArray[np.float64]


def fit_true_landmarks(
    comparison: Comparison, *, workers: int | None = None, progress: bool = True
) -> TrueLandmarkFit:
    """Fit all frames with one identity a subject, as `fit3d` does, from exact landmarks.

    Returns one row for each frame of the comparison. Raises what the fit raises.
    """
    camera = comparison.parts[0].camera
    rows = {name: np.flatnonzero(comparison.subject == name) for name in comparison.subjects}
    tasks = [
        FitTask(
            name,
            comparison.true_landmarks[row],
            comparison.landmark_set,
            (camera.width, camera.height),
            camera.focal,
        )
        for name, row in rows.items()
    ]
    count = len(comparison)
    whole = TrueLandmarkFit(
        np.full((count, len(comparison.expression_names)), np.nan, np.float32),
        np.full((count, 6), np.nan),
        np.full(count, np.nan),
        np.full(count, np.nan),
    )
    with (
        open_cluster("local", workers) as cluster,
        progress_bar("true landmarks", len(tasks), "subject", shown=progress) as bar,
    ):
        for outcome in cluster.run(fit_subject_landmarks, tasks):
            bar.update(1)
            if outcome.result is None:
                raise outcome.error or GleeError(f"{outcome.task.subject}: no result")
            row = rows[outcome.task.subject]
            whole.f_exp[row], whole.pose[row] = outcome.result.f_exp, outcome.result.pose
            whole.reprojection[row] = outcome.result.reprojection
            whole.residual[row] = outcome.result.residual
    return whole


def fit_subject_landmarks(task: FitTask) -> TrueLandmarkFit:
    """Fit one subject's frames."""
    found = fit(
        task.landmarks,
        load_model(),
        camera=Camera.for_image(*task.size, task.focal),
        landmark_set=task.landmark_set,
        identity="subject",
    )
    good = found.converged
    reprojection = np.full(len(good), np.nan)
    unit = inter_ocular_distance(task.landmarks)
    for index in np.flatnonzero(good):
        distance = np.linalg.norm(found.project(int(index)) - task.landmarks[index], axis=-1)
        reprojection[index] = distance.mean() / unit[index]
    return TrueLandmarkFit(
        f_exp=np.where(good[:, None], found.f_exp, np.float32(np.nan)),
        pose=np.where(good[:, None], found.pose, np.nan),
        reprojection=reprojection,
        residual=np.where(good, found.rmse_iod.astype(np.float64), np.nan),
    )


Floats = npt.NDArray[np.floating]

# A coefficient counts as moved where its true values have at least this standard deviation; the
# small idle movements of the synthetic people stay below it.
MOVED = 0.05


def landmark_errors(measured: Floats, truth: Floats) -> dict[str, float]:
    """Normalised mean error of the inner 51 points, of all 68 and of each region.

    measured, truth: (n, 68, 2), the same unit; frames with NaN are left out.
    """
    groups = {"inner51": INNER, "all68": tuple(range(COUNT)), **REGIONS}
    return {name: nme(measured, truth, points) for name, points in groups.items()}


def moved(truth: Floats) -> npt.NDArray[np.bool_]:
    """(e,) whether the true coefficients (n, e) move enough to be looked for."""
    return np.asarray(np.std(truth, axis=0) >= MOVED)


def correlations(measured: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Pearson's r of each column of (n, e), rows with NaN left out: (e,) float64.

    NaN where the truth does not vary; 0 where it does and the measured value does not.
    """
    known = np.isfinite(measured).all(1) & np.isfinite(truth).all(1)
    one, other = (np.asarray(values[known], np.float64) for values in (measured, truth))
    if not len(one):
        return np.full(measured.shape[1], np.nan)
    one, other = one - one.mean(0), other - other.mean(0)
    scale = np.sqrt((one**2).sum(0) * (other**2).sum(0))
    r = np.divide((one * other).sum(0), scale, out=np.zeros(len(scale)), where=scale > 1e-12)
    return np.where((other**2).sum(0) > 1e-12, r, np.nan)


def rotation_errors(pose: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Angles between the rotations of poses (n, 6), degrees: (n,) float64."""
    turn = np.swapaxes(rotation_matrix(truth[:, :3]), -1, -2) @ rotation_matrix(pose[:, :3])
    # From both parts of the rotation, since the arc cosine alone is inaccurate near 0.
    sine = np.linalg.norm(
        np.stack(
            [
                turn[:, 2, 1] - turn[:, 1, 2],
                turn[:, 0, 2] - turn[:, 2, 0],
                turn[:, 1, 0] - turn[:, 0, 1],
            ],
            axis=1,
        ),
        axis=1,
    )
    return np.asarray(np.degrees(np.arctan2(sine, np.trace(turn, axis1=1, axis2=2) - 1.0)))
