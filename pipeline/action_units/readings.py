"""How far the blendshapes of each Action Unit are on: weighted sums of f_exp, side by side.

The weights are those of the one table, `datasets.action_units.BLENDSHAPES`. A reading of 1 is the
AU's blendshapes at their weights, which the table calls intensity 5. Parted lips (25) are read as
what they are, the gap that all blendshapes leave together: the table says which lips part without
a jaw that drops, but in a video most lips part because it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...fitting.visibility import REGIONS
from ..datasets.action_units import BLENDSHAPES

Floats = npt.NDArray[np.float64]

# The Action Units that have estimates: OpenFace's, and 18, 22 and 24.
AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 22, 23, 24, 25, 26, 28, 45)
LEFT, RIGHT, WHOLE = "left", "right", ""
# The region of the face in which an AU is seen, see `fitting.visibility.REGIONS`; others: mouth.
_REGION = {1: "brows", 2: "brows", 4: "brows", 5: "lids", 6: "lids", 7: "lids", 9: "nose"}
_REGION |= {45: "lids"}
PARTED = 25
# How far each blendshape alone parts the lips of the embedded model's mean face, of the
# inter-ocular distance; mouthClose keeps them together while the jaw drops. Of a gap of FULL_GAP
# the reading is 1.
LIP_GAP = {
    "jawOpen": 0.455,
    "mouthClose": -0.458,
    "mouthFunnel": 0.074,
    "mouthUpperUpLeft": 0.041,
    "mouthUpperUpRight": 0.040,
    "mouthLowerDownLeft": 0.035,
    "mouthLowerDownRight": 0.036,
}
FULL_GAP = 0.3


@dataclass(frozen=True, eq=False)
class AUReadings:
    """The readings of a model's f_exp.

    Attributes
    ----------
    columns : tuple of (int, str)
        AU and side ("left" and "right" are the person's own, "" for AUs without sides) of the m
        readings. The sides of an AU follow each other.
    weights : (m, e) float64
        A reading is its row times f_exp, or 0 where that is less.
    moving : (e,) bool
        The blendshapes that move the face: all but those of the eyes' look.
    """

    columns: tuple[tuple[int, str], ...]
    weights: Floats
    moving: npt.NDArray[np.bool_]

    def of(self, f_exp: npt.ArrayLike) -> Floats:
        """Read expression coefficients.

        Parameters
        ----------
        f_exp : (n, e) float

        Returns
        -------
        (n, m) float64
            At least 0: lips are no more than closed.
        """
        return np.asarray(np.maximum(np.asarray(f_exp, np.float64) @ self.weights.T, 0.0))

    def moved(self, f_exp: npt.ArrayLike) -> Floats:
        """Tell how much of a face is on in all.

        Parameters
        ----------
        f_exp : (n, e) float

        Returns
        -------
        (n,) float64
            The sum of what moves the face.
        """
        return np.asarray(np.asarray(f_exp, np.float64)[:, self.moving].sum(axis=1))

    def std(self, f_exp_std: npt.ArrayLike) -> Floats:
        """Standard deviations of readings, the coefficients' errors taken as independent.

        Parameters
        ----------
        f_exp_std : (n, e) float

        Returns
        -------
        (n, m) float64
        """
        variance = np.square(np.asarray(f_exp_std, np.float64)) @ np.square(self.weights).T
        return np.asarray(np.sqrt(variance))

    @property
    def largest(self) -> Floats:
        """What readings (m,) can be at most: f_exp is at most 1."""
        return np.asarray(np.maximum(self.weights, 0.0).sum(axis=1))


def au_readings(names: tuple[str, ...]) -> AUReadings | None:
    """The readings of a model with these blendshapes.

    Parameters
    ----------
    names : tuple of str
        Of the e blendshapes, in the order of f_exp.

    Returns
    -------
    AUReadings or None
        None where the model lacks a blendshape that an AU needs.
    """
    place = {name: index for index, name in enumerate(names)}
    columns, rows = [], []
    for au in AUS:
        for side, shapes in _sides(au):
            if not set(shapes) <= set(place):
                return None
            row = np.zeros(len(names))
            row[[place[name] for name in shapes]] = list(shapes.values())
            columns.append((au, side))
            rows.append(row / (FULL_GAP if au == PARTED else np.square(row).sum()))
    moving = np.array([not name.startswith("eyeLook") for name in names])
    return AUReadings(tuple(columns), np.stack(rows), moving)


def blendshapes_read(au: int) -> Mapping[str, float]:
    """The blendshapes by which an AU is read, and their weights."""
    return LIP_GAP if au == PARTED else BLENDSHAPES[au]


def _sides(au: int) -> list[tuple[str, dict[str, float]]]:
    """The blendshapes of an AU by side; an AU has sides where each of its blendshapes has one."""
    shapes = blendshapes_read(au)
    if all(name.endswith(("Left", "Right")) for name in shapes):
        return [
            (side, {name: w for name, w in shapes.items() if name.endswith(side.capitalize())})
            for side in (LEFT, RIGHT)
        ]
    return [(WHOLE, dict(shapes))]


def has_sides(au: int) -> bool:
    """Whether an AU has a left and a right."""
    return len(_sides(au)) > 1


def seen_by_au(regions: Floats) -> Floats:
    """How far the region of each AU is seen.

    Parameters
    ----------
    regions : (n, 5) float64
        Columns as `fitting.visibility.REGIONS`; NaN where not known.

    Returns
    -------
    (n, a) float64
        Columns as AUS.
    """
    place = list(REGIONS)
    return regions[:, [place.index(_REGION.get(au, "mouth")) for au in AUS]]
