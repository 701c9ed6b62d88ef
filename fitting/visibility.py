"""What of a face is seen, part by part, and what a fit makes of what is hidden.

A detector draws a mouth behind a hand too, and it looks like any other. Landmarks of a part that is
hidden therefore weigh little, so that they move neither pose nor coefficients; what a blendshape
network says of the part is not heard; and the coefficients that move the part return to what is
expected of somebody about whom nothing is known: the prior's mean, with the prior's standard
deviation. In between, for a part that is half hidden, f_exp is the mean of both cases, each as
likely as the part is seen or not, and f_exp_std that of the mixture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from .morphable_model.landmark_scheme import ARKIT_NAMES, COUNT
from .options import UNIT_ERROR
from .solver.fitter import Prior

Floats = NDArray[np.float64]

# Parts of a face that are seen or not, each by itself, and their landmarks. A shard's columns, so
# that others are only ever appended.
PARTS: dict[str, tuple[int, ...]] = {
    "right_brow": tuple(range(17, 22)),
    "left_brow": tuple(range(22, 27)),
    "right_lids": tuple(range(36, 42)),
    "left_lids": tuple(range(42, 48)),
    "nose": tuple(range(27, 36)),
    "mouth": tuple(range(48, 68)),
    "jaw": tuple(range(17)),
}
# Regions as tables have them: of a pair of parts the one that is seen less.
REGIONS: dict[str, tuple[str, ...]] = {
    "lids": ("right_lids", "left_lids"),
    "brows": ("right_brow", "left_brow"),
    "nose": ("nose",),
    "mouth": ("mouth",),
    "jaw": ("jaw",),
}
# Which part a coefficient moves, by the beginning of its name: lips show what the jaw does. Where
# it moves those of both sides, it is known as far as one of them is seen.
_MOVED = (("brow", "brow"), ("eye", "lids"), ("cheekSquint", "lids"), ("nose", "nose"))
# A part that is seen as far as the second number is taken as it is, one seen less than the first is
# not looked at. Of what is seen of parts that nothing hides, hardly any lies below the second.
HIDDEN, SEEN = 0.5, 0.8
# Weight of a landmark of a hidden part: its standard deviation is thirty times as large.
LEAST_WEIGHT = 1e-3
# Landmarks that lay a pose; eyes and brows have 22.
ENOUGH = 24.0


def checked_visibility(visibility: ArrayLike, count: int) -> Floats:
    """How far each part is seen, (count, 7) float64 in [0, 1]; 1 where that is not known.

    Parameters
    ----------
    visibility : (count, 7) float, columns as PARTS, NaN where not known
    count : of the frames

    Raises
    ------
    UsageError
        it has another shape or values outside
    """
    values = np.asarray(visibility, np.float64)
    if values.shape != (count, len(PARTS)):
        raise UsageError(f"visibility: shape {values.shape}, expected ({count}, {len(PARTS)})")
    values = np.where(np.isnan(values), 1.0, values)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise UsageError("visibility: there are values outside of 0 to 1")
    return values


def trust(visibility: Floats) -> Floats:
    """How far parts are believed, in [0, 1]: 1 where they are plainly seen.

    Parameters
    ----------
    visibility : (..., 7) float64, in [0, 1]
    """
    return np.clip((visibility - HIDDEN) / (SEEN - HIDDEN), 0.0, 1.0)


def hides_something(visibility: Floats) -> NDArray[np.bool_]:
    """Whether any part of a frame's face is not plainly seen, (n,).

    Parameters
    ----------
    visibility : (n, 7) float64, in [0, 1]
    """
    return np.asarray((visibility < SEEN).any(-1))


def landmark_weights(visibility: Floats) -> Floats:
    """The weight of each landmark, (n, 68) float64 in [LEAST_WEIGHT, 1].

    Where hardly a part is seen, the pose needs the others too, though they are guessed: what is
    seen then counts as ENOUGH landmarks together with them.

    Parameters
    ----------
    visibility : (n, 7) float64, in [0, 1]
    """
    weight = np.ones((len(visibility), COUNT))
    for column, points in zip(trust(visibility).T, PARTS.values(), strict=True):
        weight[:, points] = column[:, None] ** 2
    missing = np.maximum(ENOUGH - weight.sum(1, keepdims=True), 0.0)
    return np.asarray(np.maximum(weight, np.maximum(missing / COUNT, LEAST_WEIGHT)))


def coefficient_trust(visibility: Floats) -> Floats:
    """How far each coefficient of f_exp is believed, (n, 51) float64, in the order of ARKIT_NAMES.

    Parameters
    ----------
    visibility : (n, 7) float64, in [0, 1]
    """
    believed = trust(visibility)
    one, other = _BELIEVED_BY
    return np.asarray(np.maximum(believed.take(one, axis=1), believed.take(other, axis=1)))


def _believed_by(name: str) -> tuple[int, int]:
    """The parts by which a coefficient is believed, one of them at least, as columns of PARTS."""
    part = next((part for stem, part in _MOVED if name.startswith(stem)), "mouth")
    columns = list(PARTS)
    if part in columns:
        return columns.index(part), columns.index(part)
    right, left = columns.index(f"right_{part}"), columns.index(f"left_{part}")
    if name.endswith("Right"):
        return right, right
    return (left, left) if name.endswith("Left") else (right, left)


# (2, 51), columns of PARTS.
_BELIEVED_BY = np.array([_believed_by(name) for name in ARKIT_NAMES]).T


def seen_share(visibility: Floats) -> Floats:
    """The share of the coefficients of f_exp that a face shows, (n,) float64 in [0, 1].

    Parameters
    ----------
    visibility : (n, 7) float64, in [0, 1]
    """
    return np.asarray(coefficient_trust(visibility).mean(1))


def by_region(visibility: NDArray[np.floating]) -> NDArray[np.floating]:
    """How far each of REGIONS is seen, (n, 5), its columns.

    Parameters
    ----------
    visibility : (n, 7) float, columns as PARTS
    """
    columns = list(PARTS)
    parts = [[columns.index(part) for part in region] for region in REGIONS.values()]
    return np.stack([visibility[:, part].min(1) for part in parts], axis=1)


def return_hidden(
    expression: NDArray[np.floating], deviation: Floats, visibility: Floats, prior: Prior
) -> tuple[Floats, Floats]:
    """f_exp and its standard deviations with hidden coefficients at the prior's mean.

    Parameters
    ----------
    expression : (n, 51) float, f_exp by what is seen and what is not
    deviation : (n, 51) float64, its standard deviations
    visibility : (n, 7) float64, in [0, 1]
    prior : of f_exp, with a precision
    """
    believed = coefficient_trust(visibility)
    mean = np.clip(prior.mean, prior.lower, prior.upper)
    covariance = np.linalg.inv(np.tril(prior.precision) + np.tril(prior.precision, -1).T)
    variance = UNIT_ERROR**2 * np.diagonal(covariance)
    mixed = believed * expression + (1.0 - believed) * mean
    spread = believed * (deviation**2 + (expression - mixed) ** 2)
    spread += (1.0 - believed) * (variance + (mean - mixed) ** 2)
    # What is plainly seen stays as it is, bit for bit.
    whole = believed == 1.0
    return np.where(whole, expression, mixed), np.where(whole, deviation, np.sqrt(spread))
