"""A person's readings at rest, from a whole clip, in memory that does not grow with its length.

Coefficients of a face at rest are not 0: a person's brows are low or high by nature, and where a
clip mostly shows a smile, the fit's identity has some of it, and the face at rest looks sad. So
rest is what is read in the calmest frames, those in which the blendshape network, which knows
nothing of this person's fit, sees the least. A clip whose person is never at rest would hide its
expressions so: where the network sees an AU even in the calmest frames, its rest is taken only up
to what is usual for people (`AUFigures.most`), and whoever calls is told. Lips and jaws are closed
at rest, so parted lips and the jaw's drop never have more than that.

Backends without such a network have a low percentile of each reading, up to what is usual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...errors import UsageError

Floats = npt.NDArray[np.float64]

AUTO, NONE = "auto", "none"
# Photos of several people show nobody long enough: what is usual for people stands for each.
USUAL = "usual"
# Coefficients grow only upwards from rest, so rest is low among a person's values; of 5, 10, 20, 30
# and 50, 20 and 30 told AUs apart best on rendered people and on clips coded by eye.
PERCENTILE = 20.0
# So many per cent of a person's frames are the calmest: of 10, 20 and 30 the best likewise.
CALM = 30.0
# What the lips and the jaw do at rest is no matter of the person: they are closed.
CLOSED_AT_REST = (25, 26)
# With fewer frames a percentile says little about a person.
LEAST_FRAMES = 25
BINS = 2000
_FORM = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True)
class BaselineFrames:
    """Which frames show the person at rest.

    Attributes
    ----------
    kind : str
        "auto", "none", "frames" or "usual".
    spans : tuple of (int, int)
        First and last frame of each span, from 0, with "frames".
    """

    kind: str = AUTO
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> BaselineFrames:
        """Understand what a user gives.

        Parameters
        ----------
        text : str
            "auto", "none", or frames such as "0-24" or "3,10-40".

        Returns
        -------
        BaselineFrames

        Raises
        ------
        UsageError
            Where it is none of these.
        """
        if text in (AUTO, NONE):
            return cls(text)
        if not _FORM.fullmatch(text):
            raise UsageError(
                f"baseline is {text!r}; give auto, none, or frames at rest such as 0-24 or 3,10-40"
            )
        spans = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            spans.append((int(first), int(last or first)))
            if spans[-1][0] > spans[-1][1]:
                raise UsageError(f"baseline {part!r}: the first frame comes after the last")
        return cls("frames", tuple(spans))

    def has(self, frame: int) -> bool:
        """Whether a frame is named."""
        return any(first <= frame <= last for first, last in self.spans)


@dataclass
class ReadingCounts:
    """Histograms of m readings of a person, from which percentiles are taken.

    Attributes
    ----------
    largest : (m,) float64
        Above it, and below 0, there is nothing; the histograms' range.
    counts : (m, BINS) int32
        Filled by `add`.
    frames : int
        In which anything was read.
    """

    largest: Floats
    counts: npt.NDArray[np.int32] = field(init=False)
    frames: int = 0

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(self.largest), BINS), np.int32)

    def add(self, readings: Floats) -> None:
        """Count frames.

        Parameters
        ----------
        readings : (n, m) float64
            NaN where one is not to be counted.
        """
        row, column = np.nonzero(np.isfinite(readings))
        share = readings[row, column] / self.largest[column]
        place = np.clip(share * BINS, 0, BINS - 1).astype(np.int64)
        np.add.at(self.counts, (column, place), 1)
        self.frames += len(set(row.tolist()))

    def percentile(self, percent: float) -> Floats:
        """The value below which so many of a reading's frames lie, in the middle of its bin.

        Parameters
        ----------
        percent : float
            0 to 100.

        Returns
        -------
        (m,) float64
            To half a two-thousandth of `largest`; 0 in the lowest bin; NaN for a reading without
            frames.
        """
        total = self.counts.sum(axis=1)
        rank = percent / 100.0 * (total - 1)
        place = (np.cumsum(self.counts, axis=1) > rank[:, None]).argmax(axis=1)
        value = np.where(place > 0, (place + 0.5) / BINS, 0.0) * self.largest
        return np.where(total > 0, value, np.nan)
