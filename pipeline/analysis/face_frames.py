"""What the parts of an analysis pass on: a face in a frame, and rows of fitted faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...fitting.fit import Fit
from ..landmarks.tracking import TrackedFrame

# A row's reason beyond those of `shard_content.REASONS`.
NOT_CONVERGED = "not_converged"
# Relative root mean square distance of the fit at which the quality has fallen to 1/e.
_POOR_FIT = 0.06

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """One face in one frame.

    frame: index in the clip, from 0. time: seconds from the first frame. face_id: from 0; -1 where
    no face is followed. size: (width, height), pixels. irises: (2, 2) float32 centres of the right
    and the left iris, source pixels, NaN where the detector gives none. crop: (200, 200, 3) uint8
    RGB, the aligned face, None where not asked for. picture: the frame as JPEG, likewise.
    """

    frame: int
    time: float
    face_id: int
    tracked: TrackedFrame
    size: tuple[int, int]
    irises: npt.NDArray[np.float32]
    crop: Image | None = None
    picture: bytes | None = None

    @property
    def valid(self) -> bool:
        """Whether landmarks were found that can be fitted."""
        return self.tracked.reason == "ok"


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Fitted faces of one image size; n rows.

    fit: of n rows, NaN where a row is not valid. au: (n, a) float32 probabilities, NaN likewise;
    a is 0 without a trained run. gaze: (n, 2, 3) float64 directions of the right and the left eye
    in camera coordinates (x right, y down, z away from the camera), NaN where unknown. usual_look:
    (n, 2, 2) float64 radians, what is usual for the row's person, see `face_fit.Identity`.
    """

    faces: tuple[FaceFrame, ...]
    fit: Fit
    au: npt.NDArray[np.float32]
    gaze: npt.NDArray[np.float64]
    usual_look: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.faces)

    def reason(self, index: int) -> str:
        """Why a row is or is not valid; "ok" where it is."""
        face = self.faces[index]
        if face.valid and not self.fit.converged[index]:
            return NOT_CONVERGED
        return face.tracked.reason

    def valid(self, index: int) -> bool:
        """Whether a row's landmarks and fit can be used."""
        return self.reason(index) == "ok"

    def quality(self, index: int) -> float:
        """In [0, 1]: the confidence in the landmarks times how well the model explains them."""
        if not self.valid(index):
            return 0.0
        relative = float(self.fit.rmse_iod[index])
        return self.faces[index].tracked.confidence * float(np.exp(-((relative / _POOR_FIT) ** 2)))
