"""What an analysis asks of a trained network; `model.analysis` fulfils it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...fitting.morphable_model.morphable_model import MorphableModel
from ..fit3d import Fit3dOptions
from .face_fit import Identity


class AUScorer(Protocol):
    """Action Unit probabilities of faces. au_names: ("AU1", ...).

    detector, fit: what the network was trained on; the detector is "" where it is not known.
    """

    au_names: tuple[str, ...]
    detector: str
    fit: Fit3dOptions

    def check(self, detector: str, fit: Fit3dOptions, model: MorphableModel) -> None:
        """Raises DataError where the network's training does not speak for faces made like this."""

    def score(
        self,
        crops: npt.NDArray[np.uint8],
        f_exp: npt.NDArray[np.float32],
        identity: Identity | None,
    ) -> npt.NDArray[np.float32]:
        """Probabilities (n, a) of aligned faces (n, 200, 200, 3) uint8 RGB and f_exp (n, e)."""
