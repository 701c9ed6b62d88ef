"""Frames of a demo as pictures: landmarks against the truth, the crop, the fitted mesh."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...fitting.camera import Camera
from ...fitting.morphable_model.landmark_scheme import inter_ocular_distance
from ...fitting.morphable_model.model_file import load_model
from ...model.prediction.evaluation import THRESHOLD
from ...model.prediction.predictions import PREDICTIONS_FILE, load_predictions
from ...pipeline.clips import Clip
from ...pipeline.datasets import open_dataset
from ...pipeline.images.frames import index_frames, read_frames
from ..pictures import Image, jpeg_uri, square_around, with_landmarks, with_mesh
from ..report import Picture, PictureRow
from .comparison import TruthComparison

_MARKS = "True (orange rings), detected (blue dots)"
WORST = 2  # frames with the largest landmark error that are shown


def face_rows(
    comparison: TruthComparison, data: Path, run: Path, subjects: tuple[str, ...]
) -> tuple[list[PictureRow], list[PictureRow]]:
    """Show the subjects' most expressive frames, and the worst frames of all.

    Parameters
    ----------
    comparison : TruthComparison
        The demo's frames.
    data : Path
        The dataset's root.
    run : Path
        Folder of the training.
    subjects : tuple of str
        Names.

    Returns
    -------
    (list of PictureRow, list of PictureRow)
        A row for each subject's most expressive frame, and for each of the worst.

    Raises
    ------
    DataError
        Where a frame cannot be read.
    """
    predicted = _predicted(comparison, run)
    clips = {clip.subject: clip for clip in open_dataset(comparison.dataset, data)}

    def rows(chosen: list[int]) -> list[PictureRow]:
        return [_row(comparison, index, clips, predicted) for index in chosen]

    return rows(_expressive(comparison, subjects)), rows(_worst(comparison))


def frame_errors(comparison: TruthComparison) -> npt.NDArray[np.float64]:
    """Average the landmark error of each frame over the inter-ocular distance.

    Parameters
    ----------
    comparison : TruthComparison
        n frames.

    Returns
    -------
    (n,) float64
        NaN where a frame is not valid.
    """
    distance = np.linalg.norm(comparison.landmarks - comparison.true_landmarks, axis=-1).mean(1)
    error = distance / inter_ocular_distance(comparison.true_landmarks)
    return np.asarray(np.where(comparison.valid, error, np.nan))


def _expressive(comparison: TruthComparison, subjects: tuple[str, ...]) -> list[int]:
    strength = (comparison.labels == 1).sum(1) + comparison.true_f_exp.mean(1)
    chosen = []
    for name in subjects:
        there = np.flatnonzero(comparison.fitted & (comparison.subject == name))
        if len(there):
            chosen.append(int(there[strength[there].argmax()]))
    return chosen


def _worst(comparison: TruthComparison) -> list[int]:
    """Of different subjects, the worst first."""
    errors = np.where(comparison.fitted, frame_errors(comparison), -1.0)
    chosen: list[int] = []
    for index in np.argsort(-errors, kind="stable"):
        taken = {comparison.subject[other] for other in chosen}
        if errors[index] >= 0 and comparison.subject[index] not in taken:
            chosen.append(int(index))
        if len(chosen) == WORST:
            break
    return chosen


def _row(
    comparison: TruthComparison,
    index: int,
    clips: Mapping[str, Clip],
    predicted: Mapping[int, npt.NDArray[np.bool_]],
) -> PictureRow:
    shard = comparison.shards[comparison.shard_index[index]].shard
    row = int(comparison.row[index])
    image = _frame(clips[shard.header.subject], shard.header.start + row)
    both = (comparison.landmarks[index], comparison.true_landmarks[index])
    where = square_around(np.concatenate(both))
    marked = with_landmarks(image, where, *both)
    fit = shard.fit
    if fit is None:
        raise DataError(f"{shard.path}: holds no 3D fit; run `glee fit3d` first")
    model = load_model()
    camera = Camera.for_image(fit.image_size[0], fit.image_size[1], fit.focal)
    mesh = model.shape(fit.f_shape[row], fit.f_exp[row])
    fitted = with_mesh(image, where, model, mesh, fit.pose[row], camera)
    name = f"{shard.header.subject}, frame {shard.frames.frame_id[row]}"
    pictures = (
        (marked, "detected landmarks drawn over the true ones", _MARKS),
        (shard.crop(row), "face turned level and cut out", "Aligned crop, what the network sees"),
        (fitted, "fitted 3D mesh drawn over the face", "Fitted mesh over the frame"),
    )
    guess = predicted.get(index)
    return PictureRow(
        [Picture(jpeg_uri(image), f"{name}: {alt}", label) for image, alt, label in pictures],
        f"{name}. {_caption(comparison, index, guess)}; fit residual {fit.rmse[row]:.1f} pixels.",
    )


def _caption(comparison: TruthComparison, index: int, guess: npt.NDArray[np.bool_] | None) -> str:
    present = _aus(comparison, comparison.labels[index] == 1)
    network = "" if guess is None else f" Network: {_aus(comparison, guess)}."
    error = f"{100 * frame_errors(comparison)[index]:.1f}\u00a0% of the inter-ocular distance"
    return f"Present: {present}.{network} Landmark error {error}"


def _aus(comparison: TruthComparison, present: npt.NDArray[np.bool_]) -> str:
    names = [name for name, there in zip(comparison.au_names, present, strict=True) if there]
    return ", ".join(names) or "no Action Unit"


def _frame(clip: Clip, number: int) -> Image:
    image = next(read_frames(clip, index_frames(clip), number, number + 1), None)
    if image is None:
        raise DataError(f"{clip.source}: frame {number} cannot be read; run again with --overwrite")
    return image


def _predicted(comparison: TruthComparison, run: Path) -> dict[int, npt.NDArray[np.bool_]]:
    """Predicted AUs (a,) of each frame that a network did not see in training."""
    paths = [one.shard.path for one in comparison.shards]
    names = [path.relative_to(path.parents[2]).as_posix() for path in paths]
    keys = zip(comparison.shard_index, comparison.row, strict=True)
    index_of = {(names[shard], int(row)): index for index, (shard, row) in enumerate(keys)}
    found = {}
    for file in sorted(run.glob(f"fold*/{PREDICTIONS_FILE}")):
        fold = load_predictions(file)
        for shard, row, probability in zip(fold.shard, fold.row, fold.probability, strict=True):
            index = index_of.get((str(shard), int(row)))
            if index is not None:
                found[index] = probability > THRESHOLD
    return found
