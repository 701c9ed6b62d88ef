"""The 3D fit on the truth's own landmarks: what is lost by the fit alone, without a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import GleeError
from ..fitting.fit import fit
from ..fitting.morphable_model.landmark_scheme import inter_ocular_distance
from ..fitting.morphable_model.model_file import load_model
from ..pipeline.cluster.cluster import open_cluster
from ..pipeline.progress import progress_bar
from .demo.comparison import Comparison


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
        open_cluster("local", workers) as place,
        progress_bar("true landmarks", len(tasks), "subject", shown=progress) as bar,
    ):
        for outcome in place.run(fit_subject_landmarks, tasks):
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
        image_size=task.size,
        focal=task.focal,
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
