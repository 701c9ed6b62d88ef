"""Labels counted by AU and code, and whether they belong to the faces that they stand beside.

The second: each labelled AU is compared with the fitted coefficients of its own blendshapes and of
every other AU's. Columns in the wrong order agree better with another AU's; labels that lag the
images by some frames agree best when they are moved by as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..datasets.action_units import BLENDSHAPES, weights
from ..datasets.label_files import scaled_to
from .report import AUCount, Problem

# An AU's coefficients are seen well enough to judge by where some labels agree this much with them.
# They belong to other labels where those agree this much more than the AU's own: AUs that come
# together, or that the landmarks confuse, differ by less.
LEAST_AGREEMENT = 0.5
LEAST_GAIN = 0.25
# Agreement of an AU whose course is used to measure the lag.
LEAST_FOR_LAG = 0.3
# Frames that an AU must show, and not show, to be compared.
LEAST_FRAMES = 10
LARGEST_LAG = 10
# From this lag on, frames, labels are not where they should be.
LAG = 0.5

Floats = npt.NDArray[np.float64]

# A ratio more than this many times another, or less than its inverse, is not the same dataset's;
# and where only a share of the subjects is there, who differ by more.
RATIO_FACTOR = 1.5
SHARE_FACTOR = 3.0
# A smaller share says nothing.
LEAST_SHARE = 1 / 3


class LabelCounts:
    """Counts codes by AU while clips or shards come in, and frames on which two AUs differ."""

    def __init__(self) -> None:
        self._codes: dict[str, Counter[int]] = {}
        self._differ: Counter[tuple[str, str]] = Counter()
        self._kind = "none"

    def add(self, au_names: tuple[str, ...], kind: str, values: npt.NDArray[np.int8]) -> None:
        """Count the labels of one clip or shard.

        Parameters
        ----------
        au_names : tuple of str
            ("AU1", ...).
        kind : str
            "occurrence" or "intensity".
        values : (n, a) int8
            -1 where unknown.
        """
        self._kind = kind
        for column, name in enumerate(au_names):
            codes, times = np.unique(values[:, column], return_counts=True)
            counter = self._codes.setdefault(name, Counter())
            counter.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))
            for other in range(column):
                pair = (au_names[other], name)
                self._differ[pair] += int((values[:, other] != values[:, column]).sum())

    def table(self, threshold: int, relative: Mapping[int, float] | None) -> tuple[AUCount, ...]:
        """Give the counts of each AU.

        Parameters
        ----------
        threshold : int
            Intensity from which an AU counts as present.
        relative : mapping or None
            AU -> its published ratio, in proportion to the others': the dataset's RELATIVE_RATIOS.

        Returns
        -------
        tuple of AUCount
            One row an AU, by number.
        """
        least = threshold if self._kind == "intensity" else 1
        rows = []
        for name in sorted(self._codes, key=lambda name: int(name.removeprefix("AU"))):
            counter = self._codes[name]
            known = sum(times for code, times in counter.items() if code >= 0)
            present = sum(times for code, times in counter.items() if code >= least)
            rows.append(
                AUCount(
                    name=name,
                    known=known,
                    unknown=counter[-1],
                    levels={code: counter[code] for code in sorted(counter) if code >= 0},
                    present=present / known if known else None,
                )
            )
        shares = {_number(row): row.present for row in rows if row.present is not None}
        published = scaled_to(relative or {}, shares)
        return tuple(replace(row, published=published.get(_number(row))) for row in rows)

    def problems(self, table: tuple[AUCount, ...], *, share: float) -> list[Problem]:
        """Find AUs that are never coded, never vary, equal another, or are as rare as no dataset's.

        Parameters
        ----------
        table : tuple of AUCount
            As `table` gives it.
        share : float
            Of the dataset's subjects that are there; 1 where it is complete, so that its ratios
            should be the published ones.

        Returns
        -------
        list of Problem
            In the table's order.
        """
        limit = RATIO_FACTOR if share == 1 else SHARE_FACTOR
        problems = []
        varied = set()
        for row in table:
            if not row.known:
                problems.append(Problem("labels", f"{row.name} is coded in no frame", wrong=False))
            elif len(row.levels) == 1:
                level = next(iter(row.levels))
                problems.append(
                    Problem("labels", f"{row.name} is {level} in every frame", wrong=False)
                )
            else:
                varied.add(row.name)
            if row.published and row.present is not None and share >= LEAST_SHARE:
                factor = row.present / row.published
                if not 1 / limit <= factor <= limit:
                    problems.append(
                        Problem(
                            "ratio",
                            f"{row.name} is present in {100 * row.present:.1f} % of the frames, "
                            f"published are {100 * row.published:.1f} %; are columns swapped?",
                            wrong=share == 1,
                        )
                    )
        for (one, other), frames in sorted(self._differ.items()):
            if frames == 0 and {one, other} <= varied:
                problems.append(
                    Problem("labels", f"{one} and {other} are equal in every frame; one is a copy")
                )
        return problems


def _number(row: AUCount) -> int:
    return int(row.name.removeprefix("AU"))


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """Frames of one clip, in order.

    Attributes
    ----------
    frame_id : (n,) int64
        The dataset's own numbers.
    labels : (n, a) int8
        -1 where unknown.
    f_exp : (n, 51) float32
        NaN where not fitted.
    """

    frame_id: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    f_exp: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How labels and coefficients go together.

    Attributes
    ----------
    aus : tuple of int
        Those compared.
    r : (a, a) float64
        Correlation of the labels of AU i with the coefficients of AU j, frames of all clips, each
        clip about its mean.
    moved : dict
        AU -> the AU whose coefficients its labels follow instead.
    lag : float or None
        Frames by which labels come after the images; None where too little moves.
    """

    aus: tuple[int, ...]
    r: Floats
    moved: dict[int, int]
    lag: float | None


def label_agreement(
    clips: Sequence[LabelledClip], aus: tuple[int, ...], names: tuple[str, ...]
) -> Agreement:
    """Compare labels with coefficients.

    Parameters
    ----------
    clips : sequence of LabelledClip
        Labelled and fitted.
    aus : tuple of int
        AU numbers of the labels' columns.
    names : tuple of str
        Blendshapes in the order of f_exp.

    Returns
    -------
    Agreement
        Of the AUs that are shown often enough.

    Raises
    ------
    UsageError
        Where the blendshapes are not those that AUs move.
    """
    columns = [column for column, au in enumerate(aus) if au in BLENDSHAPES]
    known = tuple(aus[column] for column in columns)
    table = weights(known, names)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    scores = [clip.f_exp.astype(np.float64) @ table.T for clip in clips]
    labels = [
        np.where(clip.labels[:, columns] < 0, np.nan, clip.labels[:, columns]) for clip in clips
    ]
    shown_enough = _shown_enough(labels)
    shown = tuple(au for au, enough in zip(known, shown_enough, strict=True) if enough)
    scores = [score[:, shown_enough] for score in scores]
    labels = [label[:, shown_enough] for label in labels]
    r = _correlation(labels, scores)
    own = np.diag(r) >= LEAST_FOR_LAG
    return Agreement(
        aus=shown,
        r=r,
        moved=_moved(shown, r),
        lag=_lag(clips, [label[:, own] for label in labels], [score[:, own] for score in scores]),
    )


def _shown_enough(labels: list[Floats]) -> npt.NDArray[np.bool_]:
    everything = np.concatenate(labels)
    present = (everything > 0).sum(0) >= LEAST_FRAMES
    absent = (everything == 0).sum(0) >= LEAST_FRAMES
    return np.asarray(present & absent)


def _correlation(labels: list[Floats], scores: list[Floats]) -> Floats:
    """Pearson r of every label column with every score column, about the means of each clip."""
    count = labels[0].shape[1]
    cross, square_l, square_s = (np.zeros((count, count)) for _ in range(3))
    for label, score in zip(labels, scores, strict=True):
        fitted = np.isfinite(score).all(1)
        for column in range(count):
            rows = fitted & np.isfinite(label[:, column])
            if rows.sum() < 2:
                continue
            one = label[rows, column] - label[rows, column].mean()
            all_scores = score[rows] - score[rows].mean(0)
            cross[column] += one @ all_scores
            square_l[column] += one @ one
            square_s[column] += (all_scores**2).sum(0)
    return np.asarray(cross / np.sqrt(np.maximum(square_l * square_s, 1e-12)))


def _moved(aus: tuple[int, ...], r: Floats) -> dict[int, int]:
    """AUs whose labels are those that another AU's coefficients follow."""
    moved = {}
    for j, au in enumerate(aus):
        i = int(r[:, j].argmax())
        if r[i, j] >= LEAST_AGREEMENT and r[i, j] - r[j, j] >= LEAST_GAIN:
            moved[aus[i]] = au
    return dict(sorted(moved.items()))


def _lag(clips: Sequence[LabelledClip], labels: list[Floats], scores: list[Floats]) -> float | None:
    """The lag at which labels agree best, to a part of a frame, over all runs of all clips."""
    reach = LARGEST_LAG + 1
    total = np.zeros(2 * reach + 1)
    for clip, label, score in zip(clips, labels, scores, strict=True):
        breaks = np.flatnonzero(np.diff(clip.frame_id) != 1) + 1
        for run in np.split(np.arange(len(clip.frame_id)), breaks):
            if len(run) > 4 * reach:
                total += _by_lag(_filled(label[run]), _filled(score[run]), reach)
    best = int(total.argmax())
    if not total.any() or not 0 < best < 2 * reach:
        return None
    before, here, after = total[best - 1 : best + 2]
    bend = before - 2 * here + after
    fraction = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(best - reach + fraction)


def _by_lag(label: Floats, score: Floats, reach: int) -> Floats:
    """Sum of products of label and score about their means, labels taken `lag` frames later."""
    middle = score[reach:-reach] - score[reach:-reach].mean(0)
    scale = np.sqrt((middle**2).sum(0)) + 1e-12
    out = np.empty(2 * reach + 1)
    for index in range(2 * reach + 1):
        later = label[index : index + len(middle)]
        later = later - later.mean(0)
        size = np.sqrt((later**2).sum(0)) + 1e-12
        out[index] = ((later * middle).sum(0) / (size * scale)).sum()
    return out


def _filled(values: Floats) -> Floats:
    """Columns with their gaps filled linearly; a column without a value is 0."""
    out = np.zeros_like(values)
    place = np.arange(len(values))
    for column in range(values.shape[1]):
        known = np.isfinite(values[:, column])
        if known.any():
            out[:, column] = np.interp(place, place[known], values[known, column])
    return out
