"""How a clip's landmarks tremble and how they move: variances from its own second differences.

Under constant velocity that random accelerations change, and white errors, the second difference
over k frames has the variance ``q k (2 k^2 + 1) / 3 + 6 r``. Medians at two such k give q and r; a
few onsets, blinks and turns of the head do not change them. Counts of whole numbers are kept, so
that a clip gives the same whatever pieces it comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .face_frame import PLACES, SIGNALS, to_face_frame

Floats = NDArray[np.float64]

SHORT, LONG = 1, 4  # frames over which differences are taken
REACH = 2 * LONG  # frames that a difference spans
# Of a normal distribution, its standard deviation over the median of its size.
OVER_MEDIAN = 1.4826
# Bins of a size's logarithm: 1 % each.
SMALLEST, BIN, BINS = 1e-7, np.log(1.01), 2600
# Least differences from which variances are taken; below, nothing is smoothed.
ENOUGH = 20
# Bounds of q / r: below the first a signal would be smoothed over seconds.
STIFFEST, LOOSEST = 0.01, 1e4
# No detector trembles so much, in inter-ocular distances: such frames are no video.
LARGEST_ERROR = 0.02


@dataclass(frozen=True, eq=False)
class TrackNoise:
    """Variances of a clip's 140 signals (see face_frame.py), each (140,) in its squared unit.

    error: of the detector's white errors. acceleration: of the random changes of velocity, a frame.
    """

    error: Floats
    acceleration: Floats


def _counts() -> NDArray[np.int64]:
    return np.zeros((2, SIGNALS, BINS), np.int64)


@dataclass(eq=False)
class DifferenceCounts:
    """Counts of second differences over 1 and 4 frames, (2, 140, bins)."""

    counts: NDArray[np.int64] = field(default_factory=_counts)

    def add(self, landmarks: Floats, first: int = 0) -> None:
        """Count the differences of a run without gaps, (n, 68, 2) finite.

        first: those whose last frame is before this one were counted already.
        """
        if len(landmarks) <= 2 * SHORT:
            return
        signals = to_face_frame(landmarks)
        for row, k in enumerate((SHORT, LONG)):
            second = signals[2 * k :] - 2.0 * signals[k:-k] + signals[: -2 * k]
            size = np.abs(second[max(first - 2 * k, 0) :])
            bins = np.log(np.maximum(size, SMALLEST) / SMALLEST) / BIN
            where = np.minimum(bins.astype(np.int64), BINS - 1)
            for signal in range(SIGNALS):
                self.counts[row, signal] += np.bincount(where[:, signal], minlength=BINS)

    def noise(self) -> TrackNoise | None:
        """The variances; None where there are too few differences, or the frames are no video."""
        if int(self.counts[1, 0].sum()) < ENOUGH:
            return None
        short, long = (OVER_MEDIAN**2 * self._median(row) ** 2 for row in (0, 1))
        weight = LONG * (2 * LONG**2 + 1) / 3
        acceleration = np.maximum((long - short) / (weight - 1.0), 0.0)
        error = np.maximum((short - acceleration) / 6.0, short / (6.0 + LOOSEST))
        ratio = np.clip(acceleration / np.maximum(error, SMALLEST**2), STIFFEST, LOOSEST)
        error = np.maximum(error, SMALLEST**2)
        if np.median(error[:PLACES]) > LARGEST_ERROR**2:
            return None
        return TrackNoise(error, ratio * error)

    def _median(self, row: int) -> Floats:
        """Of the sizes, (140,)."""
        total = self.counts[row].cumsum(1)
        middle = (2 * total >= total[:, -1:]).argmax(1)
        return np.asarray(SMALLEST * np.exp(BIN * (middle + 0.5)), np.float64)
