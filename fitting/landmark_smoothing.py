"""A clip's landmarks smoothed in time: face frame, noise of the track, Kalman smoother.

Landmarks smoothed in time: a Kalman filter and smoother, both ways, without lag.

Each signal of face_frame.py moves with constant velocity that random accelerations change (Harvey's
local linear trend without noise of its level). Accelerations are not normal: a face rests, then a
brow goes up within four frames. Their variance is therefore that of a t distribution with few
degrees of freedom: a factor a frame and part of the face, found by expectation maximisation from
the accelerations of all its landmarks together, so that onsets and blinks stay as sharp as they
are. The smoother is the one of de Jong (1989), which gives the accelerations too.

How a clip's landmarks tremble and how they move: variances from its own second differences.

Under constant velocity that random accelerations change, and white errors, the second difference
over k frames has the variance ``q k (2 k^2 + 1) / 3 + 6 r``. Medians at two such k give q and r; a
few onsets, blinks and turns of the head do not change them. Counts of whole numbers are kept, so
that a clip gives the same whatever pieces it comes in.

Landmarks as a moving frame of the face and their places in it: 140 signals in time.

The frame is the similarity that takes the mean head's rigid points (eye corners, nose) to the
detected ones. What is left of the landmarks in it is expression, person and the detector's noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .morphable_model.landmark_scheme import COUNT, OUTER_EYE_CORNERS
from .morphable_model.model_file import load_model

Floats = NDArray[np.float64]

ROUNDS = 12
FREEDOM = 1.0  # degrees of freedom of the accelerations
INDEPENDENT = 4.0  # so many landmarks' coordinates of a part count as independent
# Variance of the first frame's velocity over that of the errors: hardly known.
UNKNOWN = 1e4


def smooth_run(landmarks: Floats, noise: TrackNoise) -> Floats:
    """Smooth a run of frames without gaps.

    landmarks: (n, 68, 2) float64, finite, source pixels. noise: of their clip. Returns the same
    shape; runs of one or two frames come back as they are.
    """
    if len(landmarks) < 3:
        return landmarks.copy()
    signals, part = to_face_frame(landmarks), part_of_signal()
    factor = np.ones((len(signals), int(part.max()) + 1))
    smoothed, square = np.empty_like(signals), np.empty_like(signals)
    for step in range(ROUNDS):
        _smooth(signals, noise.error, noise.acceleration, factor, part, smoothed, square)
        if step + 1 < ROUNDS:
            for number in range(factor.shape[1]):
                seen = square[:, part == number].mean(1)
                factor[:, number] = (FREEDOM + INDEPENDENT * seen) / (FREEDOM + INDEPENDENT)
    return from_face_frame(smoothed)


@njit(cache=True, boundscheck=False)
def _smooth(
    signals: Floats,
    error: Floats,
    acceleration: Floats,
    factor: Floats,
    part: NDArray[np.int64],
    out: Floats,
    square: Floats,
) -> None:
    """Smooth every signal; square: expected squared accelerations over `acceleration`.

    State (place a, velocity b), its covariance (paa, pab, pbb); backward the smoothing vector
    (ra, rb) and its covariance (naa, nab, nbb).
    """
    count = len(signals)
    state = np.empty((count, 5))
    for s in range(signals.shape[1]):
        a, b = signals[0, s], 0.0
        paa, pab, pbb = UNKNOWN * error[s], 0.0, UNKNOWN * error[s]
        for t in range(count):
            state[t, 0], state[t, 1] = a, b
            state[t, 2], state[t, 3], state[t, 4] = paa, pab, pbb
            spread, apart = paa + error[s], signals[t, s] - a
            ka, kb = (paa + pab) / spread, pab / spread
            a, b = a + b + ka * apart, b + kb * apart
            new = acceleration[s] * factor[t, part[s]]
            paa, pab, pbb = (
                paa + 2.0 * pab + pbb - ka * ka * spread,
                pab + pbb - ka * kb * spread,
                pbb - kb * kb * spread + new,
            )
        ra = rb = naa = nab = nbb = 0.0
        for t in range(count - 1, -1, -1):
            variance = acceleration[s] * factor[t, part[s]]
            change = variance * rb
            left = variance - variance * variance * nbb
            square[t, s] = (change * change + left) / acceleration[s]
            a, paa, pab = state[t, 0], state[t, 2], state[t, 3]
            spread = paa + error[s]
            ka, kb = (paa + pab) / spread, pab / spread
            la, lb = 1.0 - ka, -kb
            ra, rb = (signals[t, s] - a) / spread + la * ra + lb * rb, ra + rb
            ma, mb = naa * la + nab * lb, nab * la + nbb * lb
            naa, nab, nbb = 1.0 / spread + la * ma + lb * mb, ma + mb, naa + 2.0 * nab + nbb
            out[t, s] = a + paa * ra + pab * rb


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


# What expression moves least: eye corners, nose bridge and nostrils.
RIGID = (36, 39, 42, 45, *range(27, 36))
# Signals: x and y of each landmark in the frame, then the frame's log size, angle and place.
PLACES = 2 * COUNT
SIGNALS = PLACES + 4
PARTS: tuple[tuple[int, ...], ...] = (
    tuple(range(17)),
    tuple(range(17, 27)),
    tuple(range(27, 36)),
    tuple(range(36, 42)),
    tuple(range(42, 48)),
    tuple(range(48, 68)),
)


@lru_cache(maxsize=1)
def part_of_signal() -> NDArray[np.int64]:
    """(140,): which part of the face moves a signal; the frame itself is the last part."""
    part = np.full(SIGNALS, len(PARTS))
    for number, points in enumerate(PARTS):
        for point in points:
            part[2 * point : 2 * point + 2] = number
    return part


@lru_cache(maxsize=1)
def _mean_face() -> NDArray[np.complex128]:
    """The mean head's landmarks from the front (68,), y down, in inter-ocular distances."""
    model = load_model()
    x, y, _ = model.landmarks["anatomical"].on(model.mean).T
    face = x - 1j * y
    right, left = OUTER_EYE_CORNERS
    return np.asarray(face / abs(face[left] - face[right]), np.complex128)


def to_face_frame(landmarks: Floats) -> Floats:
    """Landmarks (n, 68, 2), finite, pixels -> signals (n, 140).

    Places are in inter-ocular distances; the frame's size is in log pixels for one of them, its
    angle in radians without jumps of 2 pi, its place in pixels.
    """
    points = landmarks[..., 0] + 1j * landmarks[..., 1]
    rigid = _mean_face()[list(RIGID)]
    rigid = rigid - rigid.mean()
    own = points[:, list(RIGID)]
    centre = own.mean(1)
    turn = ((own - centre[:, None]) @ rigid.conj()) / float((abs(rigid) ** 2).sum())
    places = (points - centre[:, None]) / turn[:, None]
    signals = np.empty((len(points), SIGNALS))
    signals[:, 0:PLACES:2], signals[:, 1:PLACES:2] = places.real, places.imag
    signals[:, PLACES] = np.log(abs(turn))
    signals[:, PLACES + 1] = np.unwrap(np.angle(turn))
    signals[:, PLACES + 2], signals[:, PLACES + 3] = centre.real, centre.imag
    return signals


def from_face_frame(signals: Floats) -> Floats:
    """The inverse of `to_face_frame`: (n, 140) -> (n, 68, 2), pixels."""
    places = signals[:, 0:PLACES:2] + 1j * signals[:, 1:PLACES:2]
    turn = np.exp(signals[:, PLACES] + 1j * signals[:, PLACES + 1])
    centre = signals[:, PLACES + 2] + 1j * signals[:, PLACES + 3]
    points = places * turn[:, None] + centre[:, None]
    return np.stack([points.real, points.imag], -1)
