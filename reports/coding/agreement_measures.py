"""How far two codings agree: kappa, AUC, F1 and ICC from sums that add up over clips.

Since all of them follow from sums, a draw of clips costs a product of matrices. A measure that its
frames do not define is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MEASURES = (
    *("kappa", "auc", "f1", "icc21", "icc31"),
    *("event_precision", "event_recall", "event_f1"),
)
DRAWS, LEVEL = 1000, 0.95
# An interval of draws most of which define no value would say more than is known.
_SHARE_DEFINED = 0.9


@dataclass(frozen=True)
class ClipSums:
    """What a clip adds to the measures of an Action Unit.

    Attributes
    ----------
    confusion : (4,) float64
        Frames that both call present, the table alone, the person alone, neither.
    present, absent : (p,), (q,) float64
        The table's curve on the frames that the person calls present, and absent; empty where the
        curve is no score.
    ratings : (5,) float64
        As `rating_sums` gives them for two raters; zeros where there are no intensities.
    events : (3,) float64
        Matched, the person's, the table's.
    """

    confusion: Floats
    present: Floats
    absent: Floats
    ratings: Floats
    events: Floats


@dataclass(frozen=True)
class Measure:
    """A value, and the ends of its interval over clips; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def cohens_kappa(confusion: npt.ArrayLike) -> Floats:
    """Cohen's kappa (1960).

    Parameters
    ----------
    confusion : (..., 4)
        Frames that both call present, the second alone, the first alone, neither.

    Returns
    -------
    (...) float64
        NaN where both call all frames alike.
    """
    both, second, first, neither = np.moveaxis(np.asarray(confusion, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        count = both + second + first + neither
        observed = (both + neither) / count
        chance = (both + first) * (both + second) + (neither + first) * (neither + second)
        chance = chance / count**2
        return np.asarray(np.where(chance < 1, (observed - chance) / (1 - chance), np.nan))


def rating_sums(ratings: npt.ArrayLike) -> Floats:
    """The sums from which ICCs follow.

    Parameters
    ----------
    ratings : (n, k)
        Of n targets by k raters.

    Returns
    -------
    (k + 3,) float64
        n, each rater's sum, the sum of squares, the sum of the targets' squared totals.
    """
    values = np.asarray(ratings, np.float64)
    totals = values.sum(1)
    return np.array([len(values), *values.sum(0), (values**2).sum(), (totals**2).sum()])


def intraclass_correlations(sums: npt.ArrayLike) -> tuple[Floats, Floats]:
    """ICC(2,1) and ICC(3,1) of Shrout and Fleiss (1979), single ratings.

    ICC(2,1) is of absolute agreement, raters a random sample; ICC(3,1) of consistency.

    Parameters
    ----------
    sums : (..., k + 3)
        As `rating_sums` gives them, or such added up.

    Returns
    -------
    (...), (...) float64
        NaN where there are fewer than two targets or nothing varies.
    """
    added = np.asarray(sums, np.float64)
    targets, squares, totals = added[..., 0], added[..., -2], added[..., -1]
    raters = added[..., 1:-2]
    k = raters.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        correction = raters.sum(-1) ** 2 / (targets * k)
        between = totals / k - correction
        judges = (raters**2).sum(-1) / targets - correction
        rest = squares - correction - between - judges
        # Sums of many frames cancel: what is below their rounding is nothing.
        nothing = 1e-12 * squares
        between, judges, rest = (
            np.where(part > nothing, part, 0.0) for part in (between, judges, rest)
        )
        msr, msj = between / (targets - 1), judges / (k - 1)
        mse = rest / ((targets - 1) * (k - 1))
        second = (msr - mse) / (msr + (k - 1) * mse + k * (msj - mse) / targets)
        third = (msr - mse) / (msr + (k - 1) * mse)
    defined = targets > 1
    return np.where(defined, second, np.nan), np.where(defined, third, np.nan)


def measure_clips(
    units: Sequence[Sequence[ClipSums]], *, draws: int = DRAWS, seed: int = 0, level: float = LEVEL
) -> tuple[list[dict[str, Measure]], dict[str, Measure]]:
    """Measure Action Units over clips, with bootstrap intervals over the clips.

    Parameters
    ----------
    units : sequence of sequence of ClipSums
        For each Action Unit the sums of each clip, all in the same order of clips.
    draws : int
        How often as many clips are drawn, with replacement; the same ones for all units.
    seed : int
        Of the draws.
    level : float
        Share of the draws within an interval.

    Returns
    -------
    list of dict of str to Measure, dict of str to Measure
        For each unit, and the mean over the units that define a value. One clip gives no interval.
    """
    clips = len(units[0])
    chosen = np.random.default_rng(seed).integers(0, clips, (draws, clips))
    drawn = np.stack([np.bincount(row, minlength=clips) for row in chosen])
    # Row 0 is every clip once: the value itself.
    weights = np.concatenate([np.ones((1, clips)), drawn]).astype(np.float64)
    values = np.stack([_values(unit, weights) for unit in units])
    tables = [
        {
            name: _interval(row, several=_coded(unit) > 1, level=level)
            for name, row in zip(MEASURES, rows, strict=True)
        }
        for unit, rows in zip(units, values, strict=True)
    ]
    mean = {
        name: _interval(_mean_of_known(column), several=clips > 1, level=level)
        for name, column in zip(MEASURES, np.moveaxis(values, 1, 0), strict=True)
    }
    return tables, mean


def _coded(clips: Sequence[ClipSums]) -> int:
    return sum(bool(clip.confusion.any() or clip.events.any()) for clip in clips)


def _mean_of_known(rows: Floats) -> Floats:
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, rows, 0).sum(0) / known.sum(0))


def _interval(values: Floats, *, several: bool, level: float) -> Measure:
    """The first value, and the two ends between which that share of the others lies."""
    known = values[1:][np.isfinite(values[1:])]
    if not several or len(known) < _SHARE_DEFINED * (len(values) - 1):
        return Measure(float(values[0]))
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Measure(float(values[0]), float(low), float(high))


def _values(clips: Sequence[ClipSums], weights: Floats) -> Floats:
    """All MEASURES for each row of weights of the clips: (measures, rows)."""
    confusion = weights @ np.stack([clip.confusion for clip in clips])
    second, third = intraclass_correlations(weights @ np.stack([clip.ratings for clip in clips]))
    matched, coded, found = (weights @ np.stack([clip.events for clip in clips])).T
    both, table_alone, person_alone, _ = confusion.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [
                cohens_kappa(confusion),
                _areas(clips, weights),
                2 * both / (2 * both + table_alone + person_alone),
                second,
                third,
                matched / found,
                matched / coded,
                2 * matched / (coded + found),
            ]
        )


def _areas(clips: Sequence[ClipSums], weights: Floats) -> Floats:
    """Area under the curve of all drawn frames, for each row of weights.

    It is the share of pairs of a present and an absent frame in which the present one has the
    larger score, ties by half: a sum over pairs of clips.
    """
    present = np.concatenate([clip.present for clip in clips])
    starts = np.cumsum([0] + [len(clip.present) for clip in clips])
    won = np.zeros((len(clips), len(clips)))
    for column, clip in enumerate(clips):
        absent = np.sort(clip.absent)
        below = np.searchsorted(absent, present, "left") + np.searchsorted(absent, present, "right")
        total = np.concatenate([[0.0], np.cumsum(below / 2)])
        won[:, column] = total[starts[1:]] - total[starts[:-1]]
    positives, negatives = np.diff(starts), np.array([len(clip.absent) for clip in clips])
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (weights @ positives) * (weights @ negatives)
        return np.asarray(((weights @ won) * weights).sum(1) / pairs)
