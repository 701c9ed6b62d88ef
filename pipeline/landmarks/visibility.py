"""How far each part of a face is seen, from what a backend says of landmarks and from the frame.

The frame's border is exact for every backend: a landmark outside of the picture is not seen. What
lies before the face is known by backends that look for it (`mesh`), landmark by landmark.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...fitting.morphable_model.landmark_scheme import COUNT
from ...fitting.visibility import PARTS
from .detector import Landmarks

Float32 = npt.NDArray[np.float32]


@lru_cache(maxsize=1)
def _means_of_parts() -> Float32:
    """(7, 68): the mean of each part's landmarks."""
    means = np.zeros((len(PARTS), COUNT), np.float32)
    for row, part in zip(means, PARTS.values(), strict=True):
        row[list(part)] = 1 / len(part)
    return means


def seen_parts(landmarks: Landmarks, size: tuple[int, int], seen: Float32 | None) -> Float32:
    """Give the share of each part's landmarks that is seen.

    Parameters
    ----------
    landmarks : (68, 2) float32
        Source pixels.
    size : (int, int)
        Width and height of the picture, pixels.
    seen : (68,) float32 or None
        How probable it is that each landmark is seen, in [0, 1]; None where the backend does not
        say.

    Returns
    -------
    (7,) float32
        In the order of `fitting.visibility.PARTS`, in [0, 1]; NaN where there are no landmarks.
    """
    if not np.isfinite(landmarks).all():
        return np.full(len(PARTS), np.nan, np.float32)
    # Pixels' centres have whole coordinates, so that a picture ends half a pixel further out.
    inside = ((landmarks > -0.5) & (landmarks < np.array(size) - 0.5)).all(1)
    known = np.ones(COUNT, np.float32) if seen is None else seen
    share = np.where(inside, known, np.float32(0.0))
    return np.asarray(_means_of_parts() @ share, np.float32)
