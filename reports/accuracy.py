"""How far measured landmarks, coefficients and poses are from the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..fitting.camera import rotation_matrix
from ..fitting.morphable_model.landmark_scheme import COUNT, INNER, REGIONS, nme

Floats = npt.NDArray[np.floating]

# A coefficient counts as moved where its true values have at least this standard deviation; the
# small idle movements of the synthetic people stay below it.
MOVED = 0.05


def landmark_errors(measured: Floats, truth: Floats) -> dict[str, float]:
    """Normalised mean error of the inner 51 points, of all 68 and of each region.

    measured, truth: (n, 68, 2), the same unit; frames with NaN are left out.
    """
    groups = {"inner51": INNER, "all68": tuple(range(COUNT)), **REGIONS}
    return {name: nme(measured, truth, points) for name, points in groups.items()}


def moved(truth: Floats) -> npt.NDArray[np.bool_]:
    """(e,) whether the true coefficients (n, e) move enough to be looked for."""
    return np.asarray(np.std(truth, axis=0) >= MOVED)


def correlations(measured: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Pearson's r of each column of (n, e), rows with NaN left out: (e,) float64.

    NaN where the truth does not vary; 0 where it does and the measured value does not.
    """
    known = np.isfinite(measured).all(1) & np.isfinite(truth).all(1)
    one, other = (np.asarray(values[known], np.float64) for values in (measured, truth))
    if not len(one):
        return np.full(measured.shape[1], np.nan)
    one, other = one - one.mean(0), other - other.mean(0)
    scale = np.sqrt((one**2).sum(0) * (other**2).sum(0))
    r = np.divide((one * other).sum(0), scale, out=np.zeros(len(scale)), where=scale > 1e-12)
    return np.where((other**2).sum(0) > 1e-12, r, np.nan)


def rotation_errors(pose: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Angles between the rotations of poses (n, 6), degrees: (n,) float64."""
    turn = np.swapaxes(rotation_matrix(truth[:, :3]), -1, -2) @ rotation_matrix(pose[:, :3])
    # From both parts of the rotation, since the arc cosine alone is inaccurate near 0.
    sine = np.linalg.norm(
        np.stack(
            [
                turn[:, 2, 1] - turn[:, 1, 2],
                turn[:, 0, 2] - turn[:, 2, 0],
                turn[:, 1, 0] - turn[:, 0, 1],
            ],
            axis=1,
        ),
        axis=1,
    )
    return np.asarray(np.degrees(np.arctan2(sine, np.trace(turn, axis1=1, axis2=2) - 1.0)))
