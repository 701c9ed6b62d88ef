"""Training subjects kept back from the network, to choose by; an option."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .data.au_dataset import AUFrames

Indices = npt.NDArray[np.int64]


def hold_back(
    frames: AUFrames, indices: Indices, *, share: float, seed: int, fold: str
) -> tuple[Indices, Indices]:
    """Frames to train on, and those of the subjects kept back, which depend on seed and fold.

    indices: (n,) frames of all training subjects. share: of the subjects, 0 for none; else one at
    least is kept back, and one at least is trained on. Raises DataError where there are too few.
    """
    if not share:
        return indices, indices[:0]
    subjects = sorted({str(name) for name in frames.subject[indices]})
    if len(subjects) < 2:
        raise DataError(f"{len(subjects)} training subjects; validation needs 2 or more")
    count = min(max(round(share * len(subjects)), 1), len(subjects) - 1)
    shuffled = np.random.default_rng([seed, *f"validation {fold}".encode()]).permutation(subjects)
    kept = np.isin(frames.subject[indices], shuffled[:count])
    return indices[~kept], indices[kept]
