"""A clip's landmarks smoothed in time: face frame, noise of the track, Kalman smoother.

Landmarks become 140 signals: their places in a frame of the face, and that frame's own motion. The
frame is the similarity that takes the mean head's rigid points (eye corners, nose) to the detected
ones; what is left of the landmarks in it is expression, person and the detector's noise.

Each signal moves with constant velocity that random accelerations change (Harvey's local linear
trend without noise of its level, 1989). Accelerations are not normal: a face rests, then a brow
goes up within four frames. Their variance is therefore that of a t distribution with few degrees of
freedom: a factor a frame and part of the face, found by expectation maximisation from the
accelerations of all its landmarks together, so that onsets and blinks stay as sharp as they are.

How much a clip's signals tremble and move (`TrackNoise`) comes from its own second differences:
over k frames they have the variance ``q k (2 k^2 + 1) / 3 + 6 r``, with q that of the accelerations
and r that of the errors. Medians at two such k give both; a few onsets, blinks and turns of the
head do not change them. Counts of whole numbers are kept, so that a clip gives the same whatever
pieces it comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .morphable_model.landmark_scheme import COUNT, OUTER_EYE_CORNERS
from .morphable_model.model_file import mean_landmarks

Floats = NDArray[np.float64]

ROUNDS = 12  # of expectation maximisation
FREEDOM = 1.0  # degrees of freedom of the accelerations
INDEPENDENT = 4.0  # so many landmarks' coordinates of a part count as independent
# Variance of the first frame's velocity over that of the errors: hardly known.
UNKNOWN = 1e4

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


def smooth_run(landmarks: Floats, noise: TrackNoise) -> Floats:
    """Smooth a run of frames without gaps.

    Parameters
    ----------
    landmarks : (n, 68, 2) float64, finite, source pixels
    noise : of their clip

    Returns
    -------
    (n, 68, 2) float64
        source pixels; runs of one or two frames come back as they are
    """
    if len(landmarks) < 3:
        return landmarks.copy()
    signals, part = to_face_frame(landmarks), part_of_signal()
    factor = np.ones((len(signals), int(part.max()) + 1))
    smoothed, square = np.empty_like(signals), np.empty_like(signals)
    _smooth_robustly(signals, noise.error, noise.acceleration, factor, part, smoothed, square)
    return from_face_frame(smoothed)


@njit(cache=True, boundscheck=False)
def _smooth_robustly(
    signals: Floats,
    error: Floats,
    acceleration: Floats,
    factor: Floats,
    part: NDArray[np.int64],
    out: Floats,
    square: Floats,
) -> None:
    """`_smooth`, with factors of the accelerations that are found in rounds."""
    size = np.zeros(factor.shape[1])
    for s in range(len(part)):
        size[part[s]] += 1.0
    _smooth(signals, error, acceleration, factor, part, out, square)
    for _ in range(ROUNDS - 1):
        for t in range(len(signals)):
            factor[t, :] = 0.0
            for s in range(len(part)):
                factor[t, part[s]] += square[t, s]
            # The expected factor of a t distribution, given the mean of its squares.
            for number in range(len(size)):
                mean = factor[t, number] / size[number]
                factor[t, number] = (FREEDOM + INDEPENDENT * mean) / (FREEDOM + INDEPENDENT)
        _smooth(signals, error, acceleration, factor, part, out, square)


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
    (ra, rb) and its covariance (naa, nab, nbb): the smoother of de Jong (1989), which gives the
    accelerations too.
    """
    count = len(signals)
    state = np.empty((count, 5))
    for s in range(signals.shape[1]):
        a, b = signals[0, s], 0.0
        paa, pab, pbb = UNKNOWN * error[s], 0.0, UNKNOWN * error[s]
        # Forward, Kalman's filter: what is expected of frame t from those before it. `spread` is
        # the variance of the innovation, k the gain after the motion, which adds b to a.
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
        # Backward: the acceleration after frame t is q rb, with the variance q - q^2 nbb left; the
        # smoothed place is the expected one and its covariance times (ra, rb).
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


@dataclass(frozen=True, eq=False)
class TrackNoise:
    """Variances of a clip's 140 signals, in the squared unit of each (see `to_face_frame`).

    Attributes
    ----------
    error : (140,) float64, of the detector's white errors
    acceleration : (140,) float64, of the random changes of velocity, a frame
    """

    error: Floats
    acceleration: Floats


def _counts() -> NDArray[np.int64]:
    return np.zeros((2, SIGNALS, BINS), np.int64)


@dataclass(eq=False)
class DifferenceCounts:
    """How often second differences of each size occur in a clip.

    Attributes
    ----------
    counts : (2, 140, bins) int64, over 1 and over 4 frames
    """

    counts: NDArray[np.int64] = field(default_factory=_counts)

    def add(self, landmarks: Floats, first: int = 0) -> None:
        """Count the differences of a run without gaps.

        Parameters
        ----------
        landmarks : (n, 68, 2) float64, finite, source pixels
        first : index in the run; differences whose last frame is before it were counted already
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
        # short = q + 6 r and long = q weight + 6 r, solved for q and r.
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


def to_face_frame(landmarks: Floats) -> Floats:
    """Landmarks as places in a frame of the face, and that frame's motion.

    A similarity in the plane is a complex number times a point, plus another.

    Parameters
    ----------
    landmarks : (n, 68, 2) float64, finite, source pixels

    Returns
    -------
    (n, 140) float64
        places in inter-ocular distances; then the frame's size in log pixels for one of them, its
        angle in radians without jumps of 2 pi, and its place in pixels
    """
    points = landmarks[..., 0] + 1j * landmarks[..., 1]
    rigid = _rigid_points()
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
    """The inverse of `to_face_frame`.

    Parameters
    ----------
    signals : (n, 140) float64

    Returns
    -------
    (n, 68, 2) float64
        source pixels
    """
    places = signals[:, 0:PLACES:2] + 1j * signals[:, 1:PLACES:2]
    turn = np.exp(signals[:, PLACES] + 1j * signals[:, PLACES + 1])
    centre = signals[:, PLACES + 2] + 1j * signals[:, PLACES + 3]
    points = places * turn[:, None] + centre[:, None]
    return np.stack([points.real, points.imag], -1)


@lru_cache(maxsize=1)
def _rigid_points() -> NDArray[np.complex128]:
    """The mean head's rigid points from the front, about their middle.

    (r,), x + iy with y down, in inter-ocular distances.
    """
    x, y, _ = mean_landmarks().T
    face = x - 1j * y
    right, left = OUTER_EYE_CORNERS
    rigid = (face / abs(face[left] - face[right]))[list(RIGID)]
    return np.asarray(rigid - rigid.mean(), np.complex128)


@lru_cache(maxsize=1)
def part_of_signal() -> NDArray[np.int64]:
    """Which part of the face moves a signal, (140,) int64; the frame itself is the last part."""
    part = np.full(SIGNALS, len(PARTS))
    for number, points in enumerate(PARTS):
        for point in points:
            part[2 * point : 2 * point + 2] = number
    return part
