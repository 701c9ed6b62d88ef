"""From readings to intensities 0 to 5 and presence, with what is not known beside them.

The figures are of rendered people of two face models (`tools/calibrate_action_units.py` writes
them): how large a reading full movement gives, from which intensity on an AU counts as present, how
far estimates are off, and what is usual at rest.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..datasets.action_units import MAXIMUM_INTENSITY
from .readings import AUS, AUReadings

Floats = npt.NDArray[np.float64]

# What tables and reports say of these figures, word for word.
SOURCE = "estimated from the face's shape, not trained on coded people"
FIGURES_PATH = Path(__file__).with_name("figures.toml")
# Small readings are mostly noise, large ones mostly movement: intensities grow faster than they.
# Of 1, 1.25 and 1.5 it gives the highest correlation with the truth of rendered people.
POWER = 1.25
# What moves beside an AU makes its reading doubtful: by so much of its size, see `standing_out`.
# Of 0.05, 0.1, 0.2, 0.5 and 1, up to 0.2 correlates best with the truth of rendered people of
# either model; from 0.2 on, AU 6 of the smiles of real clips was lost.
OTHERS = 0.1


@dataclass(frozen=True, eq=False)
class AUFigures:
    """Figures of each AU, in the order of AUS; (21,) float64 each.

    Attributes
    ----------
    full : (a,) float64
        The rise of the reading over rest at intensity 5.
    present : (a,) float64
        An AU is present from this intensity on.
    usual, most : (a,) float64
        The reading at rest of people, median, and what 95 % of people do not exceed.
    network : (a,) float64
        The reading of the blendshape network's outputs above which it sees the AU.
    spread : (a,) float64
        Standard deviation of the intensity where little is read.
    growth : (a,) float64
        Its growth by a unit of intensity.
    certain : (a,) float64
        Standard deviation of the reading of a face in plain sight; what f_exp_std adds to it, of a
        hidden mouth for example, is added to the intensity's.
    """

    full: Floats
    present: Floats
    usual: Floats
    most: Floats
    network: Floats
    spread: Floats
    growth: Floats
    certain: Floats


@lru_cache(maxsize=2)
def au_figures(path: Path = FIGURES_PATH) -> AUFigures:
    """Read the figures that glee comes with.

    Parameters
    ----------
    path : Path
        The TOML file.

    Returns
    -------
    AUFigures

    Raises
    ------
    DataError
        Where the file is missing or lacks a figure.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        every = [found[f"AU{au:02}"] for au in AUS]
        return AUFigures(
            *(np.array([float(one[key.name]) for one in every]) for key in fields(AUFigures))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: no figures of Action Units ({error}); write them again with "
            "tools/calibrate_action_units.py"
        ) from None


@dataclass(frozen=True, eq=False)
class AUEstimates:
    """Action Units of n rows; NaN where a row is not valid.

    Attributes
    ----------
    intensity, std : (n, a) float64
        0 to 5, of the stronger side where an AU has two, and the standard deviation.
    present : (n, a) float64
        0 or 1.
    visible : (n, a) float64
        How far the region of the face is seen, 0 to 1; NaN where nobody asked.
    sides : (n, m) float64
        The intensity of each reading, columns as `AUReadings.columns`.
    """

    intensity: Floats
    std: Floats
    present: Floats
    visible: Floats
    sides: Floats


@dataclass(frozen=True, eq=False)
class Others:
    """How much a face moves in all, and what that says of single AUs.

    Attributes
    ----------
    moved : (n,) float64
        The rise of `AUReadings.moved` over the person's rest.
    apart : (n,) float64
        How far the person's expressions need not go together, 0 to 1: the rest of
        `fitting.witness.rules_share`. Where movements go together by rules, others say nothing.
    """

    moved: Floats
    apart: Floats


def standing_out(rise: Floats, others: Others | None) -> Floats:
    """What of a reading's rise counts, beside all else that moves.

    Readings of a face that moves much elsewhere are mostly the fit's confusions, of a person whose
    expressions come one by one; a rise r beside others of the sum s counts as
    r^2 / (r + OTHERS apart s).

    Parameters
    ----------
    rise : (n, m) float64
        Over rest.
    others : Others or None
        Of the same rows.

    Returns
    -------
    (n, m) float64
        At least 0, at most the rise.
    """
    rise = np.maximum(rise, 0.0)
    if others is None:
        return rise
    beside = np.maximum(others.moved[:, None] - rise, 0.0) * others.apart[:, None]
    total = rise + OTHERS * beside
    return np.asarray(rise * np.divide(rise, total, out=np.ones_like(rise), where=total > 0))


def estimate(
    readings: AUReadings,
    read: Floats,
    std: Floats,
    visible: Floats,
    rest: Floats,
    figures: AUFigures | None = None,
    others: Others | None = None,
) -> AUEstimates:
    """Estimate intensities.

    Parameters
    ----------
    readings : AUReadings
        What the columns are.
    read, std : (n, m) float64
        Readings and their standard deviations.
    visible : (n, a) float64
        See `readings.seen_by_au`.
    rest : (n, m) or (m,) float64
        The readings of the person at rest.
    figures : AUFigures or None
        None for those that glee comes with.
    others : Others or None
        What moves beside each AU; None where it does not count.

    Returns
    -------
    AUEstimates
        Of the same rows.
    """
    figures = figures or au_figures()
    of = columns_of_aus(readings)
    full, certain = figures.full[of], figures.certain[of]
    sides = intensities(standing_out(read - rest, others), full)
    hidden = MAXIMUM_INTENSITY / full * np.sqrt(np.maximum(std**2 - certain**2, 0.0))
    deviation = np.sqrt(figures.spread[of] ** 2 + (figures.growth[of] * sides) ** 2 + hidden**2)
    first = np.searchsorted(of, np.arange(len(AUS)))
    last = np.searchsorted(of, np.arange(len(AUS)), side="right") - 1
    rows = np.arange(len(sides))[:, None]
    stronger = np.where(sides[:, last] > sides[:, first], last, first)
    intensity = sides[rows, stronger]
    present = np.where(np.isnan(intensity), np.nan, intensity >= figures.present)
    unknown = np.isnan(intensity)
    return AUEstimates(
        intensity=intensity,
        std=np.minimum(np.where(unknown, np.nan, deviation[rows, stronger]), MAXIMUM_INTENSITY),
        present=present,
        visible=np.where(unknown, np.nan, visible),
        sides=sides,
    )


def intensities(rise: Floats, full: Floats) -> Floats:
    """Intensities, 0 to 5, of readings' rise over rest (n, m); full: (m,), see `AUFigures`."""
    return np.asarray(MAXIMUM_INTENSITY * np.clip(rise / full, 0.0, 1.0) ** POWER)


def columns_of_aus(readings: AUReadings) -> npt.NDArray[np.int64]:
    """The place in AUS of each reading's AU: (m,), ascending."""
    return np.array([AUS.index(au) for au, _ in readings.columns])
