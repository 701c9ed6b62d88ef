"""The similarity transform between two sets of matching points (Umeyama 1991)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """``scale * rotation @ p + offset``; rotation (3, 3), offset (3,).

    mirrored: True where a reflection would have laid the points on each other better.
    """

    scale: float
    rotation: Points
    offset: Points
    mirrored: bool = False

    def of(self, points: Points) -> Points:
        """Points (..., 3) moved."""
        return np.asarray(self.scale * points @ self.rotation.T + self.offset)

    def back(self, points: Points) -> Points:
        """Points (..., 3) moved by the inverse."""
        return np.asarray((points - self.offset) @ self.rotation / self.scale)


def best_similarity(source: Points, target: Points, weights: Points | None = None) -> Similarity:
    """The similarity that lays source (j, 3) on target (j, 3) by weighted least squares."""
    share = np.ones(len(source)) if weights is None else weights
    share = share / share.sum()
    from_centre, to_centre = share @ source, share @ target
    centred = source - from_centre
    covariance = (target - to_centre).T @ (centred * share[:, None])
    left, values, right = np.linalg.svd(covariance)
    sign = float(np.sign(np.linalg.det(left @ right)))
    signs = np.array([1.0, 1.0, sign])
    rotation = (left * signs) @ right
    scale = float((values * signs).sum() / (share @ (centred**2).sum(1)))
    return Similarity(scale, rotation, to_centre - scale * rotation @ from_centre, sign < 0)
