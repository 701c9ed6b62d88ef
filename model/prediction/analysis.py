"""Action Units of a video without a work folder: a trained run as the scorer of `glee analyze`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...fitting.morphable_model.model_file import model_digest
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...pipeline.analysis.analyze import ClipAnalysis, analyze
from ...pipeline.analysis.face_fit import ANALYSIS_FIT, Identity
from ...pipeline.analysis.inputs import AnalyzeOptions
from ...pipeline.fit3d import Fit3dOptions
from ..checkpoint import Checkpoint
from ..data.au_dataset import AUFrames
from ..data.augmentation import resized_face, stored_size
from ..data.person_specific import PRIOR_FRAMES
from ..data.provenance import Provenance, check_provenance
from ..network.glee_net import GLEENet
from .predict import load_run, run_provenance
from .predictions import predict_frames


class RunScorer:
    """Mean probability over a run's folds, for people that none of them was trained on.

    au_names: ("AU1", ...). detector: that the run was trained on, "" where it is not known. fit:
    the options of the fit that it was trained on.
    """

    def __init__(self, run: Path, device: str = "cpu") -> None:
        """Raises DataError where no fold is trained, WeightsError where one cannot be read."""
        self._folds = load_run(Path(run))
        self._device = torch.device(device)
        self._networks: list[tuple[Checkpoint, GLEENet]] = [
            (checkpoint, checkpoint.network().to(self._device))
            for checkpoint in self._folds.values()
        ]
        first = next(iter(self._folds.values()))
        self.au_names = tuple(first.config.au_names)
        made = run_provenance(first)
        self.detector = made.detector
        self.fit = Fit3dOptions(**made.fit3d) if made.fit3d else ANALYSIS_FIT

    def check(self, detector: str, fit: Fit3dOptions, model: MorphableModel) -> None:
        """Raises DataError where the run's training does not speak for faces made like this."""
        given = Provenance(detector, {}, asdict(fit), model.name, model_digest(model))
        for checkpoint in self._folds.values():
            own = run_provenance(checkpoint)
            check_provenance(own, given, coefficients=checkpoint.config.coefficients)

    def score(
        self,
        crops: npt.NDArray[np.uint8],
        f_exp: npt.NDArray[np.float32],
        identity: Identity | None,
    ) -> npt.NDArray[np.float32]:
        """Probabilities (n, a) of aligned faces (n, 200, 200, 3) uint8 RGB and their f_exp (n, e).

        identity: whose usual f_exp is taken off where the run learnt f_exp relative to the person.
        """
        each = [
            self._of_fold(checkpoint, network, crops, f_exp, identity)
            for checkpoint, network in self._networks
        ]
        return np.asarray(np.mean(each, axis=0, dtype=np.float64), np.float32)

    def _of_fold(
        self,
        checkpoint: Checkpoint,
        network: GLEENet,
        crops: npt.NDArray[np.uint8],
        f_exp: npt.NDArray[np.float32],
        identity: Identity | None,
    ) -> npt.NDArray[np.float32]:
        if checkpoint.reference is not None:
            f_exp = f_exp - _usual(identity, checkpoint.reference.numpy())
        size = stored_size(checkpoint.config.image_size)
        frames = _frames(self.au_names, np.stack([resized_face(c, size) for c in crops]), f_exp)
        index = np.arange(len(crops))
        predictions = predict_frames(
            network, frames, index, image_size=checkpoint.config.image_size, device=self._device
        )
        return predictions.probability


def _usual(
    identity: Identity | None, reference: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """What is usual for a person, drawn to what is common by how little is known of the person."""
    if identity is None or not np.isfinite(identity.usual).all():
        return reference
    share = identity.frames / (identity.frames + PRIOR_FRAMES)
    return np.asarray(share * identity.usual + (1.0 - share) * reference, np.float32)


def _frames(
    au_names: tuple[str, ...], crops: npt.NDArray[np.uint8], f_exp: npt.NDArray[np.float32]
) -> AUFrames:
    count = len(crops)
    return AUFrames(
        au_names=au_names,
        dataset="folder",
        shards=(),
        names=("video/clip/000000.h5",),
        shard_index=np.zeros(count, np.int64),
        row=np.arange(count),
        subject=np.full(count, "video"),
        frame_id=np.arange(count),
        labels=np.full((count, len(au_names)), -1, np.int8),
        f_exp=np.asarray(f_exp, np.float32),
        expression_names=(),
        size=crops.shape[1],
        decoded=crops,
    )


def analyze_with_run(
    inputs: Iterable[Path],
    out: Path,
    run: Path,
    *,
    options: AnalyzeOptions | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> list[ClipAnalysis]:
    """As `pipeline.analysis.analyze.analyze`, with Action Units by a trained run.

    Detector and fit are those that the run was trained on. Raises what that raises, and DataError
    and WeightsError for the run.
    """
    scorer = RunScorer(run, device)
    return analyze(inputs, out, options=options, scorer=scorer, progress=progress)
