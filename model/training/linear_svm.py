"""One linear SVM an AU, on landmarks or on f_exp, with the same folds and output as the network.

Source of the method: Fan et al. (2008), LIBLINEAR, which the paper compares with as LSVM. Features
are standardised by the training frames; the classes weigh alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...errors import DataError, require_extra
from ..data.au_dataset import AUFrames
from ..data.folds import Split, training_frames
from ..data.person_specific import common_reference, relative_to_person
from ..prediction.left_out import labels_left_out
from ..prediction.predictions import PREDICTIONS_FILE, Predictions, save_predictions

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

logger = logging.getLogger(__name__)

# Of the squared hinge loss; the features are standardised.
C = 0.01
# From so many frames on a stochastic solver takes the exact one's place.
EXACT_FRAMES = 50_000

# Frames, and those to train on -> (n, d) float32; NaN where a frame has no such feature.
Features = Callable[[AUFrames, npt.NDArray[np.int64]], npt.NDArray[np.float32]]


def landmark_features(frames: AUFrames, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Give the 68 landmarks in the aligned crop, each axis in crop sizes.

    Parameters
    ----------
    frames : AUFrames
        n frames.
    indices : (m,) int64
        Frames to train on; not needed here.

    Returns
    -------
    (n, 136) float32
        x and y of each landmark; NaN where missing.
    """
    found = np.empty((len(frames), 68, 2), np.float64)
    for number, shard in enumerate(frames.shards):
        of_shard = np.flatnonzero(frames.shard_index == number)
        rows = frames.row[of_shard]
        points = shard.frames.landmarks[rows].astype(np.float64)
        affine = shard.frames.transform[rows]
        turned = np.einsum("nij,npj->npi", affine[:, :, :2], points) + affine[:, None, :, 2]
        found[of_shard] = turned / shard.crop_size
    return found.reshape(len(frames), -1).astype(np.float32)


def coefficient_features(
    frames: AUFrames, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give f_exp as it was fitted.

    Parameters
    ----------
    frames : AUFrames
        n frames.
    indices : (m,) int64
        Frames to train on; not needed here.

    Returns
    -------
    (n, e) float32
        NaN where not fitted.
    """
    return frames.f_exp


def person_specific_coefficients(
    frames: AUFrames, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give f_exp relative to the person's own usual face, see person_specific.py.

    Parameters
    ----------
    frames : AUFrames
        n frames.
    indices : (m,) int64
        Frames to train on; what is common to all comes from these.

    Returns
    -------
    (n, e) float32
        NaN where not fitted.
    """
    return relative_to_person(frames, common_reference(frames, indices)).f_exp


def run_linear_svm(
    frames: AUFrames,
    features: Features,
    split: Split,
    out: Path,
    *,
    seed: int,
    folds: tuple[str, ...] = (),
) -> None:
    """Train and predict each fold that has no predictions yet; `evaluate` measures the folder.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    features : Features
        Gives what the SVMs see.
    split : Split
        Fold name -> its test subjects.
    out : Path
        Folder for the predictions.
    seed : int
        Of the solver.
    folds : tuple of str
        Names of those wanted, () for all.

    Raises
    ------
    DataError
        Where nothing can be trained.
    OutputError
        Where `out` cannot be written.
    UsageError
        Where the extra `figures` is missing.
    """
    require_extra("figures", ("sklearn",), "a linear SVM")
    for name in folds or split:
        path = out / f"fold{name}" / PREDICTIONS_FILE
        if not path.exists():
            indices = training_frames(frames, split[name])
            x = features(frames, indices)
            tested = frames.of_subjects(split[name])
            save_predictions(path, svm_predictions(frames, x, indices, tested, seed=seed))


def svm_predictions(
    frames: AUFrames,
    features: npt.NDArray[np.float32],
    trained: npt.NDArray[np.int64],
    tested: npt.NDArray[np.int64],
    *,
    seed: int,
) -> Predictions:
    """Predict frames with SVMs of other frames; the distance to the plane, squashed, ranks them.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    features : (n, d) float32
        Of all frames; NaN where a frame has none.
    trained, tested : int64 arrays
        Indices of frames.
    seed : int
        Of the solver.

    Returns
    -------
    Predictions
        Of the tested frames.

    Raises
    ------
    DataError
        Where no feature is known.
    """
    if not np.isfinite(features[trained]).all(1).any():
        raise DataError("no frame to train an SVM on has the features; run `glee fit3d` first")
    x = np.nan_to_num(features, nan=0.0)
    columns = []
    for column, name in enumerate(frames.au_names):
        label = frames.labels[trained, column]
        use = trained[(label >= 0) & np.isfinite(features[trained]).all(1)]
        y = frames.labels[use, column] == 1
        if y.all() or not y.any():
            logger.warning("%s is always or never present in training; no SVM", name)
            columns.append(np.full(len(tested), float(y.any()), np.float32))
            continue
        distance = _classifier(len(use), seed).fit(x[use], y).decision_function(x[tested])
        columns.append((1 / (1 + np.exp(-np.clip(distance, -30, 30)))).astype(np.float32))
    lost, lost_labels = labels_left_out(frames, frames.subject[tested].tolist())
    return Predictions(
        au_names=np.array(frames.au_names),
        shard=np.array([frames.names[i] for i in frames.shard_index[tested]], np.str_),
        row=frames.row[tested],
        subject=frames.subject[tested],
        frame_id=frames.frame_id[tested],
        labels=frames.labels[tested],
        probability=np.stack(columns, 1),
        left_out_subject=lost,
        left_out_labels=lost_labels,
    )


def _classifier(count: int, seed: int) -> Pipeline:
    # Of the extra `figures`: only this baseline and t-SNE need it.
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if count <= EXACT_FRAMES:
        machine = LinearSVC(C=C, class_weight="balanced", dual=False, random_state=seed)
    else:
        machine = SGDClassifier(
            loss="squared_hinge",
            alpha=1 / (C * count),
            class_weight="balanced",
            average=True,
            random_state=seed,
        )
    return make_pipeline(StandardScaler(), machine)
