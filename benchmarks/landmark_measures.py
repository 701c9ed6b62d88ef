"""How landmarks differ from the truth, and how steady they are: figures of a detector alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance, nme

Floats = NDArray[np.float64]

REGIONS: dict[str, tuple[int, ...]] = {
    "inner": INNER,
    "jaw": tuple(range(17)),
    "brows": tuple(range(17, 27)),
    "nose": tuple(range(27, 36)),
    "lids": tuple(range(36, 48)),
    "outer_lip": tuple(range(48, 60)),
    "inner_lip": tuple(range(60, 68)),
}
LID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
BROWS, EYE_CORNERS = slice(17, 27), [36, 39, 42, 45]
# Of white noise of standard deviation 1, that of the second difference in time.
SECOND_DIFFERENCE = np.sqrt(6.0)


def level(landmarks: Floats, of: Floats | None = None) -> Floats:
    """Landmarks (n, 68, 2) turned until the outer eye corners are level, / their distance.

    of: landmarks (n, 68, 2) whose eye corners are meant; None: their own.
    """
    corners = landmarks if of is None else of
    axis = corners[:, 45] - corners[:, 36]
    x = axis / (axis**2).sum(-1, keepdims=True)
    turn = np.stack([x, np.stack([-x[:, 1], x[:, 0]], 1)], 1)
    return np.asarray(np.einsum("nab,nib->nia", turn, landmarks))


def gaps(landmarks: Floats) -> dict[str, Floats]:
    """Lid gap, lip gap and brow height of landmarks (n, 68, 2): (n,) each, inter-ocular units."""
    face = level(landmarks)

    def apart(pairs: tuple[tuple[int, int], ...]) -> Floats:
        upper, lower = (list(side) for side in zip(*pairs, strict=True))
        return np.asarray((face[:, lower, 1] - face[:, upper, 1]).mean(1))

    brow = face[:, EYE_CORNERS, 1].mean(1) - face[:, BROWS, 1].mean(1)
    return {"lid_gap": apart(LID_PAIRS), "lip_gap": apart(LIP_PAIRS), "brow_height": brow}


def sensitivity(
    detected: Floats, truth: Floats, subject: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Slope and r of each measured gap against the true one, both less the person's mean."""
    good = np.isfinite(detected).all((1, 2))
    measured, true = gaps(detected[good]), gaps(truth[good])
    found = {}
    for name in true:
        x, y = (_less_mean(gap[name], subject[good]) for gap in (true, measured))
        found[name] = {"slope": float(x @ y / (x @ x)), "r": float(np.corrcoef(x, y)[0, 1])}
    return found


def errors(
    detected: Floats, truth: Floats, subject: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """By region, in inter-ocular distances: NME; its parts; and the jitter.

    bias: of the mean over all people, length of the mean error vector. person: the same of each
    person's mean less that. spread: what is left, root mean square. jitter: the error's second
    difference in time as the deviation of white noise.
    """
    good = np.isfinite(detected).all((1, 2))
    error = _turned_error(detected, truth)
    people = [error[good & (subject == one)] for one in np.unique(subject)]
    means = np.stack([own.mean(0) for own in people if len(own)])
    bias = means.mean(0)
    rest = np.concatenate([own - own.mean(0) for own in people if len(own)])
    second = np.concatenate([np.diff(error[subject == one], 2, axis=0) for one in set(subject)])
    second = second[np.isfinite(second).all((1, 2))]
    rows = {}
    for name, points in REGIONS.items():
        where = list(points)
        rows[name] = {
            "nme": nme(detected, truth, points),
            "bias": float(np.linalg.norm(bias[where], axis=-1).mean()),
            "person": float(np.linalg.norm((means - bias)[:, where], axis=-1).mean()),
            "spread": _length(rest[:, where]),
            "jitter": _length(second[:, where]) / SECOND_DIFFERENCE,
        }
    return rows


def jitter(landmarks: Floats, points: tuple[int, ...] = INNER) -> float:
    """Median length of the second difference in time over the inter-ocular distance.

    The median, since what moves is the face too: a head turns in few frames, noise is in all.
    """
    second = np.linalg.norm(np.diff(landmarks[:, list(points)], 2, axis=0), axis=-1)
    ratio = second / inter_ocular_distance(landmarks[1:-1])[:, None]
    return float(np.nanmedian(ratio))


def disagreement(one: Floats, other: Floats) -> dict[str, float]:
    """Mean distance by region between two detectors' landmarks, over the mean eye distance."""
    scale = (inter_ocular_distance(one) + inter_ocular_distance(other)) / 2
    distance = np.linalg.norm(one - other, axis=-1) / scale[:, None]
    return {name: float(np.nanmean(distance[:, list(p)])) for name, p in REGIONS.items()}


def _turned_error(detected: Floats, truth: Floats) -> Floats:
    axis = truth[:, 45] - truth[:, 36]
    x = axis / (axis**2).sum(-1, keepdims=True)
    turn = np.stack([x, np.stack([-x[:, 1], x[:, 0]], 1)], 1)
    return np.asarray(np.einsum("nab,nib->nia", turn, detected - truth))


def _less_mean(values: Floats, group: NDArray[np.int64]) -> Floats:
    out = values.copy()
    for one in np.unique(group):
        out[group == one] -= values[group == one].mean()
    return out


def _length(vectors: Floats) -> float:
    return float(np.sqrt((vectors**2).sum(-1).mean()))
