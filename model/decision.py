"""What turns a trained network's probabilities into the final ones: temporal head, thresholds.

Both beyond the paper, both learnt from validation subjects: some of the training subjects, kept
back from the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .checkpoint import load_checkpoint, save_checkpoint
from .options import TrainOptions
from .prediction.predictions import Predictions
from .temporal_head import TemporalHead, clip_neighbours, fit_temporal_head
from .thresholds import best_thresholds, shift_to_half


@dataclass(frozen=True, eq=False)
class Decision:
    """head: None leaves the network's own logits. thresholds: (a,) float64, None leaves 0.5."""

    head: TemporalHead | None = None
    thresholds: npt.NDArray[np.float64] | None = None

    def __call__(self, predictions: Predictions) -> Predictions:
        """The final probabilities; present is above 0.5, whatever the thresholds."""
        probability = predictions.probability
        if self.head is not None:
            moved = self.head(logits_of(predictions), _neighbours(predictions, self.head))
            probability = moved.sigmoid().float().numpy()
        if self.thresholds is not None:
            probability = shift_to_half(probability, self.thresholds)
        return replace(predictions, probability=probability)

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        kept: dict[str, Tensor] = {}
        if self.head is not None:
            kept.update(kernel=self.head.kernel, bias=self.head.bias)
        if self.thresholds is not None:
            kept.update(thresholds=torch.from_numpy(self.thresholds))
        return kept

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> Self:
        """From what `tensors` gave."""
        head = TemporalHead(tensors["kernel"], tensors["bias"]) if "kernel" in tensors else None
        thresholds = tensors["thresholds"].numpy() if "thresholds" in tensors else None
        return cls(head, thresholds)


def learn_decision(
    validation: Predictions, ratio: Tensor, *, reach: int, calibrate: bool
) -> Decision:
    """Learn from the network's predictions for subjects that it was not trained on.

    ratio: (a,), r of Eq. 5. reach: frames on each side that the temporal head sees, 0 for no head.
    calibrate: choose thresholds, on what the head gives.
    """
    head = None
    if reach:
        labels = torch.from_numpy(validation.labels)
        neighbours = _places(validation, reach)
        head = fit_temporal_head(logits_of(validation), labels, ratio.cpu(), neighbours)
    if not calibrate:
        return Decision(head)
    final = Decision(head)(validation)
    return Decision(head, best_thresholds(final.probability, final.labels))


def fold_decision(
    path: Path, validation: Predictions, ratio: Tensor, options: TrainOptions
) -> Decision:
    """The decision of a finished fold: as its checkpoint keeps it, else learnt and put there.

    path: the checkpoint's. validation: the network's predictions for the subjects kept back.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.decision or not (options.calibrate or options.temporal):
        return Decision.of_tensors(checkpoint.decision)
    decision = learn_decision(
        validation, ratio, reach=options.temporal, calibrate=options.calibrate
    )
    save_checkpoint(path, replace(checkpoint, decision=decision.tensors()))
    return decision


def logits_of(predictions: Predictions) -> Tensor:
    """Logits of the probabilities: (n, a) float64, finite."""
    return torch.from_numpy(predictions.probability).double().logit(eps=1e-7)


def _neighbours(predictions: Predictions, head: TemporalHead) -> npt.NDArray[np.int64]:
    return _places(predictions, len(head.kernel) // 2)


def _places(predictions: Predictions, reach: int) -> npt.NDArray[np.int64]:
    """Neighbours of the frames; a shard's path is CLIP/CHUNK.h5, its chunks follow each other."""
    parts = [str(name).rsplit("/", 1) for name in predictions.shard]
    clip = np.array([part[0] for part in parts], np.str_)
    chunk = np.array([int(part[1].partition(".")[0]) for part in parts], np.int64)
    return clip_neighbours(clip, chunk * CHUNK_STRIDE + predictions.row, reach)


# Rows of a chunk are below this; the border of two chunks ends a kernel's sight.
CHUNK_STRIDE = 1 << 20
