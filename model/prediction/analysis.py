"""Action Units of a video without a work folder: a trained run as the scorer of `glee analyze`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...fitting.morphable_model.model_file import model_digest
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...pipeline.analysis.face_fit import ANALYSIS_FIT, Identity
from ...pipeline.options import Fit3dOptions
from ..checkpoint import Checkpoint
from ..data.au_dataset import AUFrames
from ..data.augmentation import resized_face, stored_size
from ..data.person_specific import PRIOR_FRAMES
from ..data.provenance import Provenance, check_provenance
from ..distributed import World, choose_device
from ..network.glee_net import GLEENet
from .predict import load_run, run_provenance
from .predictions import predict_frames


class RunScorer:
    """Mean probability over a run's folds, for people that none of them was trained on.

    Attributes
    ----------
    au_names : tuple of str
        ("AU1", ...).
    detector : str
        That the run was trained on, "" where it is not known.
    fit : Fit3dOptions
        Of the fit that it was trained on.
    run : str
        Path of the run.
    digest : str
        Of its networks.
    """

    def __init__(self, run: Path, device: str = "cpu") -> None:
        """Load the networks of a run.

        Parameters
        ----------
        run : Path
            Folder of a training.
        device : str
            "auto", "cpu" or "cuda".

        Raises
        ------
        DataError
            Where no fold is trained.
        WeightsError
            Where one cannot be read.
        """
        self._folds = load_run(Path(run))
        self.run, self._asked_device = str(run), device
        self.digest = _digest(self._folds.values())
        self._device = choose_device(device, World())
        self._networks: list[tuple[Checkpoint, GLEENet]] = [
            (checkpoint, checkpoint.network().to(self._device))
            for checkpoint in self._folds.values()
        ]
        first = next(iter(self._folds.values()))
        self.au_names = tuple(first.config.au_names)
        made = run_provenance(first)
        self.detector = made.detector
        self.fit = Fit3dOptions(**made.fit3d) if made.fit3d else ANALYSIS_FIT

    def __reduce__(self) -> tuple[type[RunScorer], tuple[Path, str]]:
        """Travel to another process as the run's place, from which it is loaded there."""
        return RunScorer, (Path(self.run), self._asked_device)

    def check(self, detector: str, fit: Fit3dOptions, model: MorphableModel) -> None:
        """Refuse faces that the run's training does not speak for.

        Parameters
        ----------
        detector : str
            Name of the landmark detector.
        fit : Fit3dOptions
            Of the fit.
        model : MorphableModel
            That is fitted.

        Raises
        ------
        DataError
            Saying what differs.
        """
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
        """Predict aligned faces.

        Parameters
        ----------
        crops : (n, 200, 200, 3) uint8
            RGB.
        f_exp : (n, e) float32
            As fitted, NaN where not.
        identity : Identity or None
            Whose usual f_exp is taken off where the run learnt f_exp relative to the person.

        Returns
        -------
        (n, a) float32
            Probabilities.
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


def _digest(folds: Iterable[Checkpoint]) -> str:
    """Of networks and what they were trained on, wherever their files lie."""
    digest = hashlib.sha256()
    for checkpoint in folds:
        digest.update(repr((checkpoint.config, checkpoint.provenance)).encode())
        for name in sorted(checkpoint.weights):
            digest.update(name.encode() + checkpoint.weights[name].numpy().tobytes())
    return digest.hexdigest()[:16]


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
