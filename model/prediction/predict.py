"""AU probabilities of videos, images or shards, with nothing but a trained run."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import DataError
from ...fitting.model_digest import model_digest
from ...fitting.morphable_model.model_file import load_model
from ...pipeline.fit3d import Fit3dOptions, fit3d
from ...pipeline.preprocess import PreprocessOptions, preprocess
from ...pipeline.shards.shard import REASONS, SHARD_FOLDER, list_shards, read_shard
from ..data.provenance import Provenance
from ..predict import load_run, predict, run_provenance
from .predictions import Predictions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionTable:
    """text: CSV, a row for every frame. frames: predicted. invalid: frames without a face."""

    text: str
    frames: int
    invalid: int


def predict_table(
    run: Path,
    source: Path,
    *,
    work: Path | None = None,
    model: Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> PredictionTable:
    """Predict a video, an image, a folder of both, or a folder with shards.

    Videos and images go through `preprocess` and `fit3d` with the options that the run's training
    frames went through. run: folder of a training. work: folder to keep the shards in; None throws
    them away. model: the morphable model, where the run's is not the embedded one.

    Raises what `predict`, `preprocess` and `fit3d` raise, and DataError where the morphable model
    is another than the run's.
    """
    if (source / SHARD_FOLDER).is_dir():
        return prediction_table(predict(run, source, device=device), source)
    checkpoint = next(iter(load_run(run).values()))
    trained = run_provenance(checkpoint)
    fit = _fit_options(trained, model) if checkpoint.config.coefficients else None
    with _folder(work) as place:
        preprocess(
            "folder",
            source,
            place,
            options=_preprocess_options(trained),
            workers=workers,
            progress=progress,
        )
        if fit is not None:
            fit3d(place, options=fit, workers=workers, progress=progress)
        return prediction_table(predict(run, place, device=device), place)


def prediction_table(parts: dict[str, Predictions], work: Path) -> PredictionTable:
    """Predictions as CSV: part, subject, clip, frame_id, reason, then a probability for each AU.

    parts: as `predict` returns them. work: the folder with the shards that were predicted. A frame
    that is not valid has its reason and no probabilities.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    aus = next(iter(parts.values())).au_names
    writer.writerow(["part", "subject", "clip", "frame_id", "reason", *aus])
    frames, invalid = 0, 0
    shards = {path.relative_to(work / SHARD_FOLDER).as_posix(): path for path in list_shards(work)}
    for part, predictions in parts.items():
        known = {
            (shard, row): probability
            for shard, row, probability in zip(
                predictions.shard.tolist(),
                predictions.row.tolist(),
                predictions.probability.tolist(),
                strict=True,
            )
        }
        subjects = {str(subject) for subject in predictions.subject}
        for name in (name for name in shards if name.split("/")[0] in subjects):
            shard = read_shard(shards[name], verify=False)
            subject, clip = shard.header.subject, shard.header.clip
            for row, frame_id in enumerate(shard.frames.frame_id.tolist()):
                reason = REASONS[int(shard.frames.reason[row])]
                values = [f"{value:.4f}" for value in known.get((name, row), ())]
                frames, invalid = frames + bool(values), invalid + (not values)
                cells = values or [""] * len(aus)
                writer.writerow([part, subject, clip, frame_id, reason, *cells])
    return PredictionTable(text.getvalue(), frames, invalid)


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        yield work
        return
    with TemporaryDirectory(prefix="glee-") as folder:
        yield Path(folder)


def _preprocess_options(trained: Provenance) -> PreprocessOptions:
    known = {item.name for item in fields(PreprocessOptions)}
    return replace(
        PreprocessOptions(),
        **{name: value for name, value in trained.preprocess.items() if name in known},
    )


def _fit_options(trained: Provenance, model: Path | None) -> Fit3dOptions:
    """The options of the run's fit, but for the focal length, which is the camera's."""
    digest = model_digest(load_model(model))
    if trained.model_sha256 and digest != trained.model_sha256:
        which = "the embedded morphable model" if model is None else str(model)
        raise DataError(
            f"{which} ({digest[:12]}) is not the one that the network was trained with, "
            f"{trained.model!r} ({trained.model_sha256[:12]}); give that with --model"
        )
    known = {item.name for item in fields(Fit3dOptions)}
    options = {name: value for name, value in trained.fit3d.items() if name in known}
    return replace(
        Fit3dOptions(),
        **{**options, "focal": None, "model": None if model is None else str(model)},
    )
