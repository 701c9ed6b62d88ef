"""How detected landmarks differ from human ones on photographs: errors, openings, intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from landmark_measures import LID_PAIRS, LIP_PAIRS, level
from landmark_measures import REGIONS as PARTS
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import COUNT, INNER, inter_ocular_distance
from glee.pipeline.landmarks.mesh.definition import fitted_definition
from glee.pipeline.landmarks.mesh.points import landmarks_from_mesh

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The six parts of a face that no backend may lose, and two sums of them.
REGIONS: dict[str, tuple[int, ...]] = {
    name: points for name, points in PARTS.items() if name != "inner"
}
SETS: dict[str, tuple[int, ...]] = {"inner": INNER, "all": tuple(range(COUNT)), **REGIONS}
# Right and left eye: outer and inner corner, and pairs of upper and lower lid.
EYES = (((36, 39), LID_PAIRS[:2]), ((45, 42), LID_PAIRS[2:]))
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
# An eye whose lids are nearer than this share of its width was annotated as closed.
CLOSED = 0.12
RESAMPLES = 1000


def openings(landmarks: Floats) -> dict[str, Floats]:
    """What moves in a face, of landmarks (n, 68, 2): (n,) each, over the eye corners' distance.

    lid_gap, lip_gap: of the inner lid and lip points. brow_height: of all brow points over the four
    eye corners. brow_distance: between the inner ends of the brows. mouth_width: between the
    mouth's corners. corner_lift: of these over the middle of the outer lips.
    """
    face = level(landmarks)

    def apart(pairs: tuple[tuple[int, int], ...]) -> Floats:
        upper, lower = (list(side) for side in zip(*pairs, strict=True))
        return np.asarray((face[:, lower, 1] - face[:, upper, 1]).mean(1))

    corners = face[:, [36, 39, 42, 45], 1].mean(1)
    return {
        "lid_gap": apart(LID_PAIRS),
        "lip_gap": apart(LIP_PAIRS),
        "brow_height": corners - face[:, 17:27, 1].mean(1),
        "brow_distance": np.linalg.norm(face[:, 22] - face[:, 21], axis=-1),
        "mouth_width": np.linalg.norm(face[:, 54] - face[:, 48], axis=-1),
        "corner_lift": face[:, [51, 57], 1].mean(1) - face[:, [48, 54], 1].mean(1),
    }


def eye_openings(landmarks: Floats) -> Floats:
    """Lid gap over the eye's width, (2 n,): all right eyes, then all left ones."""
    found = []
    for (outer, inner), pairs in EYES:
        width = np.linalg.norm(landmarks[:, outer] - landmarks[:, inner], axis=-1)
        upper, lower = (list(side) for side in zip(*pairs, strict=True))
        gap = np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1).mean(1)
        found.append(gap / np.maximum(width, 1e-9))
    return np.concatenate(found)


def face_errors(detected: Floats, truth: Floats, points: tuple[int, ...] = INNER) -> Floats:
    """Each face's mean distance over the points / the true distance of the outer eye corners."""
    where = list(points)
    distance = np.linalg.norm(detected[:, where] - truth[:, where], axis=-1).mean(1)
    return np.asarray(distance / inter_ocular_distance(truth))


def halves(count: int, seed: int) -> Bools:
    """A random half of so many faces."""
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.default_rng([seed, 17]).permutation(count)[: count // 2]] = True
    return chosen


def cross_fitted(dense: Floats, truth: Floats, half: Bools) -> Floats:
    """Landmarks (n, 68, 2) of mesh points (n, 478, 2), by what the other half's annotations define.

    Faces that were not found are NaN, and nothing is learnt from them. Where one half has none, the
    definition is the shipped one.
    """
    there = np.isfinite(dense).all((1, 2))
    landmarks = landmarks_from_mesh(dense).astype(np.float64)
    if not all((there & own).any() for own in (half, ~half)):
        return landmarks
    for own in (half, ~half):
        definition, _ = fitted_definition(dense[there & ~own], truth[there & ~own])
        landmarks[own] = definition.landmarks(dense[own])
    return landmarks


def mean_bias(detected: Floats, truth: Floats, points: tuple[int, ...] = INNER) -> float:
    """Length of each point's mean error, in the mean over the points, / eye corners' distance."""
    where = list(points)
    error = (level(detected, of=truth) - level(truth))[:, where]
    return float(np.linalg.norm(error.mean(0), axis=-1).mean())


def less_bias(detected: Floats, truth: Floats, half: Bools) -> Floats:
    """Landmarks (n, 68, 2) less the constant errors of each point that the other half shows.

    Errors are vectors in the detected face's frame: its outer eye corners are level, their
    distance is 1. Where one half is empty, nothing can be learnt and the landmarks stay.
    """
    if half.all() or not half.any():
        return detected
    axis = detected[:, 45] - detected[:, 36]
    out = np.stack([axis, np.stack([-axis[:, 1], axis[:, 0]], 1)], 2)
    back = np.swapaxes(out, 1, 2) / (axis**2).sum(-1)[:, None, None]
    error = np.einsum("nab,nib->nia", back, detected - truth)
    corrected = detected.copy()
    for own in (half, ~half):
        corrected[own] -= np.einsum("nab,ib->nia", out[own], error[~own].mean(0))
    return corrected


def slope_and_r(measured: Floats, true: Floats) -> dict[str, float]:
    """Of a least-squares line of the measured over the true values, and Pearson's r."""
    x, y = true - true.mean(), measured - measured.mean()
    return {
        "r": float(x @ y / max(np.sqrt((x @ x) * (y @ y)), 1e-12)),
        "slope": float(x @ y / max(x @ x, 1e-12)),
    }


def area_under_curve(scores: Floats, positive: Bools) -> float | None:
    """Probability that a positive one scores higher than another; ties count half. None without."""
    high, low = scores[positive], scores[~positive]
    if not len(high) or not len(low):
        return None
    above = (high[:, None] > low[None]).mean() + 0.5 * (high[:, None] == low[None]).mean()
    return float(above)


def interval(
    statistic: Callable[[NDArray[np.int64]], float], count: int, seed: int
) -> dict[str, float]:
    """A statistic of `count` faces, given by their indices, with the 95 % bootstrap interval."""
    rng = np.random.default_rng([seed, 95])
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {
        "value": float(statistic(np.arange(count))),
        "low": float(low),
        "high": float(high),
    }
