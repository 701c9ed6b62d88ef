"""A fitted work folder of synthetic data beside the truth that it was rendered from.

`load_comparison` reads both; `fit_true_landmarks` fits the truth's own landmarks, which shows what
is lost by the fit alone; then follow measures of how far landmarks, coefficients and poses are from
the truth.
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
from ...pipeline.landmarks.detector import calibrated_name
from ...pipeline.shards.shard import REASONS, FitArrays, Shard, list_shards, read_shard
from ...pipeline.summary import progress_bar
from ...pipeline.synthesis.clips import TRUTH, Truth, read_truth

ANATOMICAL = "anatomical"
NOT_CONVERGED = "not_converged"

Floats = npt.NDArray[np.floating]

# A coefficient counts as moved where its true values have at least this standard deviation; the
# small idle movements of the synthetic people stay below it.
MOVED = 0.05


@dataclass(frozen=True, eq=False)
class ShardTruth:
    """A fitted shard of n frames and what is true of them.

    Attributes
    ----------
    shard : Shard
        What was measured.
    landmarks : (n, 68, 2) float32, source pixels
        Of the set that the detector means.
    f_exp : (n, 51) float32
        Expression coefficients.
    pose : (n, 6) float64
        Rotation vector (radians) and translation (decimetres).
    camera : Camera
        Of the rendering.
    """

    shard: Shard
    landmarks: npt.NDArray[np.float32]
    f_exp: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    camera: Camera


@dataclass(frozen=True, eq=False)
class TruthComparison:
    """All frames of a work folder, measured and true; n frames, a AUs.

    Attributes
    ----------
    shards : tuple of ShardTruth
        Sorted as in the work folder.
    landmark_set : str
        Of the truth, the detector's own where the model has it.
    shard_index, row : (n,) int64
        The shard of each frame, and its row there.
    subject : (n,) str
        Names.
    valid : (n,) bool
        Whether a face was found.
    outcome : (n,) str
        "ok" or why there is no fit.
    landmarks, true_landmarks : (n, 68, 2) float32, source pixels
        Detected and true.
    f_exp, true_f_exp : (n, 51) float32
        Fitted and true.
    pose, true_pose : (n, 6) float64
        Rotation vector (radians) and translation (decimetres).
    labels : (n, a) int8
        1 present, 0 absent.
    expression_names : (51,) tuple of str
        Of the coefficients.
    au_names : (a,) tuple of str
        ("AU1", ...).
    """

    shards: tuple[ShardTruth, ...]
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
        """(n,) bool, whether a frame has a fit."""
        return np.asarray(self.outcome == "ok")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({str(name) for name in self.subject}))

    @cached_property
    def dataset(self) -> str:
        """Name of the dataset's layout."""
        return self.shards[0].shard.header.dataset


def load_comparison(data: Path, work: Path) -> TruthComparison:
    """Read a work folder and the truth of the dataset that it was made from.

    Parameters
    ----------
    data : Path
        Root of a dataset that `synthesise` wrote.
    work : Path
        Folder with fitted shards of it.

    Returns
    -------
    TruthComparison
        All frames.

    Raises
    ------
    ShardError
        Where a shard is damaged.
    DataError
        Where one is not fitted or the truth is missing.
    """
    shards = [read_shard(path) for path in list_shards(work)]
    truths = {name: _truth(data, name) for name in sorted({s.header.subject for s in shards})}
    landmark_set = _landmark_set(shards[0], next(iter(truths.values())))
    truths_of_shards = tuple(
        _shard_truth(shard, truths[shard.header.subject], landmark_set) for shard in shards
    )
    au_names = tuple(f"AU{au}" for au in dataset_facts(shards[0].header.dataset).aus)
    frames = [one.shard.frames for one in truths_of_shards]
    fits = [_fit_of(one.shard) for one in truths_of_shards]
    sizes = [len(one.shard) for one in truths_of_shards]
    return TruthComparison(
        shards=truths_of_shards,
        landmark_set=landmark_set,
        shard_index=np.repeat(np.arange(len(truths_of_shards)), sizes),
        row=np.concatenate([np.arange(size) for size in sizes]),
        subject=np.repeat([one.shard.header.subject for one in truths_of_shards], sizes),
        valid=np.concatenate([frame.valid for frame in frames]),
        outcome=np.concatenate([_outcome(one.shard) for one in truths_of_shards]),
        landmarks=np.concatenate([frame.landmarks for frame in frames]),
        true_landmarks=np.concatenate([one.landmarks for one in truths_of_shards]),
        f_exp=np.concatenate([fit.f_exp for fit in fits]),
        true_f_exp=np.concatenate([one.f_exp for one in truths_of_shards]),
        pose=np.concatenate([fit.pose for fit in fits]),
        true_pose=np.concatenate([one.pose for one in truths_of_shards]),
        labels=np.concatenate([occurrence(one.shard, au_names) for one in truths_of_shards]),
        expression_names=load_model().expression_names,
        au_names=au_names,
    )


def _truth(data: Path, subject: str) -> Truth:
    return read_truth(data / TRUTH.format(subject=subject))


def _landmark_set(shard: Shard, truth: Truth) -> str:
    backend = calibrated_name(shard.header.detector.split(" ")[0], truth.landmarks)
    return backend if backend in truth.landmarks else ANATOMICAL


def _shard_truth(shard: Shard, truth: Truth, landmark_set: str) -> ShardTruth:
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
    """A subject's true landmarks to be fitted.

    Attributes
    ----------
    subject : str
        Name.
    landmarks : (n, 68, 2) float32, source pixels
        Of all its frames.
    landmark_set : str
        Which points of the model they are.
    size : (int, int)
        Width and height of a frame, pixels.
    focal : float
        Of the camera, pixels.
    """

    subject: str
    landmarks: npt.NDArray[np.float32]
    landmark_set: str
    size: tuple[int, int]
    focal: float


@dataclass(frozen=True, eq=False)
class TrueLandmarkFit:
    """Fits of n frames; NaN where one did not converge.

    Attributes
    ----------
    f_exp : (n, 51) float32
        Expression coefficients.
    pose : (n, 6) float64
        Rotation vector (radians) and translation (decimetres).
    reprojection : (n,) float64
        Mean distance of the fitted landmarks from the true ones over the inter-ocular distance.
    residual : (n,) float64
        Root mean square of D of Eq. 3 over the inter-ocular distance.
    """

    f_exp: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float64]
    reprojection: npt.NDArray[np.float64]
    residual: npt.NDArray[np.float64]


def fit_true_landmarks(
    comparison: TruthComparison, *, workers: int | None = None, progress: bool = True
) -> TrueLandmarkFit:
    """Fit all frames with one identity a subject, as `fit3d` does, from exact landmarks.

    Parameters
    ----------
    comparison : TruthComparison
        n frames.
    workers : int, optional
        Processes, None for one a core.
    progress : bool
        Show a bar.

    Returns
    -------
    TrueLandmarkFit
        One row for each frame of the comparison.

    Raises
    ------
    GleeError
        What the fit raises.
    """
    camera = comparison.shards[0].camera
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
    """Fit the frames of one subject, that of `task`."""
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


def landmark_errors(measured: Floats, truth: Floats) -> dict[str, float]:
    """Average the distance of measured landmarks from the true ones over the inter-ocular distance.

    Parameters
    ----------
    measured, truth : (n, 68, 2) float
        In the same unit; frames with NaN are left out.

    Returns
    -------
    dict of str to float
        Of the inner 51 points, of all 68 and of each region.
    """
    groups = {"inner51": INNER, "all68": tuple(range(COUNT)), **REGIONS}
    return {name: nme(measured, truth, points) for name, points in groups.items()}


def moved(truth: Floats) -> npt.NDArray[np.bool_]:
    """Say which true coefficients, `truth` (n, e), move enough to be looked for: (e,) bool."""
    return np.asarray(np.std(truth, axis=0) >= MOVED)


def correlations(measured: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Compute Pearson's r of each column.

    Parameters
    ----------
    measured, truth : (n, e) float
        Rows with NaN are left out.

    Returns
    -------
    (e,) float64
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
    """Measure the angles between the rotations of poses.

    Parameters
    ----------
    pose, truth : (n, 6) float
        Rotation vectors (radians) come first.

    Returns
    -------
    (n,) float64, degrees
        Angles.
    """
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
