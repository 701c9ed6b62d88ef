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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

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
# Behind the last landmark of each part: jaw, brows, nose, eyes, mouth; the frame is a part too.
PART_ENDS = np.array([*(2 * end for end in (17, 27, 36, 42, 48, COUNT)), SIGNALS])

# The kernels take all signals at once, filled up to whole vector registers. What they keep of a
# frame lies together, in rows of LANES: the signals, the variance of the acceleration after the
# frame, then the expected state and its covariance.
LANES = 144
_SEEN, _VARIANCE, _PLACE, _VELOCITY, _AA, _AB, _BB = (LANES * row for row in range(7))
FRAME = 7 * LANES
# The gains lie where a frame's velocity and its variance were when these are passed on; the results
# where the gains were.
_GAIN_A, _GAIN_B = _VELOCITY, _BB
_SMOOTHED, _SQUARE = _VELOCITY, _BB
# Rows of their own: the variances of errors and accelerations; of the pass backward the smoothing
# vector and its covariance.
_ERROR, _ACCELERATION, _RA, _RB, _NAA, _NAB, _NBB = (LANES * row for row in range(7))
OWN = 7 * LANES


class Piece(NamedTuple):
    """Frames that are smoothed together; each pair is a first frame and the one behind the last.

    Attributes
    ----------
    start, stop : a run without gaps, or a part of it
    first, last : those of its frames whose result is wanted
    """

    start: int
    stop: int
    first: int
    last: int


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
    count = len(landmarks)
    return smooth_pieces(landmarks, [Piece(0, count, 0, count)], noise)


def smooth_pieces(landmarks: Floats, pieces: Iterable[Piece], noise: TrackNoise) -> Floats:
    """Smooth pieces of a clip, each by itself.

    Parameters
    ----------
    landmarks : (n, 68, 2) float64, source pixels, finite in the pieces
    pieces : of these frames
    noise : of their clip

    Returns
    -------
    (n, 68, 2) float64
        source pixels; the wanted frames of pieces of more than two are smoothed, the rest is as it
        was
    """
    out = landmarks.copy()
    long = [piece for piece in pieces if piece.stop - piece.start > 2]
    if not long:
        return out
    frames = np.concatenate([np.arange(piece.start, piece.stop) for piece in long])
    ends = np.cumsum([piece.stop - piece.start for piece in long])
    signals, own = np.zeros((len(frames), LANES)), np.ones(OWN)
    signals[:, :SIGNALS] = to_face_frame(landmarks[frames], ends[:-1])
    own[_ERROR : _ERROR + SIGNALS] = noise.error
    own[_ACCELERATION : _ACCELERATION + SIGNALS] = noise.acceleration
    smoothed = np.empty_like(signals)
    _smooth_pieces(signals, ends, own, PART_ENDS, smoothed)
    first, last = (np.repeat(np.array(long)[:, side], np.diff(ends, prepend=0)) for side in (2, 3))
    wanted = (first <= frames) & (frames < last)
    out[frames[wanted]] = from_face_frame(smoothed[wanted, :SIGNALS])
    return out


@njit(cache=True, boundscheck=False, error_model="numpy")
def _smooth_pieces(
    signals: Floats,
    ends: NDArray[np.int64],
    own: Floats,
    part_ends: NDArray[np.int64],
    out: Floats,
) -> None:
    """`_smooth` of pieces one behind the other, with accelerations' factors found in rounds."""
    longest, begin = 0, 0
    for end in ends:
        longest, begin = max(longest, end - begin), end
    frames = np.empty((longest + 1) * FRAME)
    begin = 0
    for end in ends:
        for t in range(end - begin):
            frame = frames[t * FRAME : (t + 1) * FRAME]
            frame[_SEEN : _SEEN + LANES] = signals[begin + t]
            frame[_VARIANCE : _VARIANCE + LANES] = own[_ACCELERATION : _ACCELERATION + LANES]
        _smooth(frames, own, end - begin)
        for _ in range(ROUNDS - 1):
            _adapt(frames, own, part_ends, end - begin)
            _smooth(frames, own, end - begin)
        for t in range(end - begin):
            place = t * FRAME + _SMOOTHED
            out[begin + t] = frames[place : place + LANES]
        begin = end


@njit(cache=True, boundscheck=False, error_model="numpy")
def _adapt(frames: Floats, own: Floats, part_ends: NDArray[np.int64], count: int) -> None:
    """The variances of each part's accelerations, by their squares."""
    for t in range(count):
        frame = frames[t * FRAME : (t + 1) * FRAME]
        begin = 0
        for end in part_ends:
            square = 0.0
            for s in range(begin, end):
                square += frame[_SQUARE + s]
            # The expected factor of a t distribution, given the mean of its squares.
            mean = square / (end - begin)
            factor = (FREEDOM + INDEPENDENT * mean) / (FREEDOM + INDEPENDENT)
            for s in range(begin, end):
                frame[_VARIANCE + s] = own[_ACCELERATION + s] * factor
            begin = end


@njit(cache=True, boundscheck=False, error_model="numpy")
def _smooth(frames: Floats, own: Floats, count: int) -> None:
    """Smooth all signals of so many frames; there is room for one more.

    State (place a, velocity b), its covariance (aa, ab, bb); backward the smoothing vector (ra, rb)
    and its covariance (naa, nab, nbb): the smoother of de Jong (1989), which gives the
    accelerations too. Left in a frame are the smoothed places, and the expected squared
    accelerations over their variance without a factor. All that an inner loop reads and writes lies
    at fixed distances, by which the compiler sees that lanes do not touch each other.
    """
    for s in range(LANES):
        unknown = UNKNOWN * own[_ERROR + s]
        frames[_PLACE + s], frames[_VELOCITY + s] = frames[_SEEN + s], 0.0
        frames[_AA + s], frames[_AB + s], frames[_BB + s] = unknown, 0.0, unknown
    # Forward, Kalman's filter: what is expected of frame t + 1 from those before it. `spread` is
    # the variance of the innovation, k the gain after the motion, which adds b to a.
    for t in range(count):
        two = frames[t * FRAME : (t + 2) * FRAME]
        for s in range(LANES):
            a, b = two[_PLACE + s], two[_VELOCITY + s]
            aa, ab, bb = two[_AA + s], two[_AB + s], two[_BB + s]
            spread, apart = aa + own[_ERROR + s], two[_SEEN + s] - a
            ka, kb = (aa + ab) / spread, ab / spread
            two[_GAIN_A + s], two[_GAIN_B + s] = ka, kb
            two[FRAME + _PLACE + s] = a + b + ka * apart
            two[FRAME + _VELOCITY + s] = b + kb * apart
            two[FRAME + _AA + s] = aa + 2.0 * ab + bb - ka * ka * spread
            two[FRAME + _AB + s] = ab + bb - ka * kb * spread
            two[FRAME + _BB + s] = bb - kb * kb * spread + two[_VARIANCE + s]
    own[_RA:] = 0.0
    # Backward: the acceleration after frame t is q rb, with the variance q - q^2 nbb left; the
    # smoothed place is the expected one and its covariance times (ra, rb).
    for t in range(count - 1, -1, -1):
        frame = frames[t * FRAME : (t + 1) * FRAME]
        for s in range(LANES):
            ra, rb = own[_RA + s], own[_RB + s]
            naa, nab, nbb = own[_NAA + s], own[_NAB + s], own[_NBB + s]
            a, aa, ab = frame[_PLACE + s], frame[_AA + s], frame[_AB + s]
            la, lb = 1.0 - frame[_GAIN_A + s], -frame[_GAIN_B + s]
            variance, spread = frame[_VARIANCE + s], aa + own[_ERROR + s]
            change, left = variance * rb, variance - variance * variance * nbb
            frame[_SQUARE + s] = (change * change + left) / own[_ACCELERATION + s]
            new_ra, new_rb = (frame[_SEEN + s] - a) / spread + la * ra + lb * rb, ra + rb
            ma, mb = naa * la + nab * lb, nab * la + nbb * lb
            own[_RA + s], own[_RB + s] = new_ra, new_rb
            own[_NAA + s] = 1.0 / spread + la * ma + lb * mb
            own[_NAB + s], own[_NBB + s] = ma + mb, naa + 2.0 * nab + nbb
            frame[_SMOOTHED + s] = a + aa * new_ra + ab * new_rb


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

    def add(self, landmarks: Floats, first: int = 0, run: NDArray[np.int64] | None = None) -> None:
        """Count the differences within runs without gaps.

        Parameters
        ----------
        landmarks : (n, 68, 2) float64, source pixels, finite in the runs
        first : index of a frame; differences whose last frame is before it were counted already
        run : (n,) int64, number of each frame's run, negative where it is in none; None where all
            are in one
        """
        run = np.zeros(len(landmarks), np.int64) if run is None else run
        there = np.flatnonzero(run >= 0)
        signals, run = to_face_frame(landmarks[there]), run[there]
        for row, k in enumerate((SHORT, LONG)):
            counted = (run[2 * k :] == run[: -2 * k]) & (there[2 * k :] >= first)
            second = signals[2 * k :] - 2.0 * signals[k:-k] + signals[: -2 * k]
            size = np.maximum(np.abs(second[counted]), SMALLEST) / SMALLEST
            bins = (np.log(size, out=size) / BIN).astype(np.int64)
            where = np.minimum(bins, BINS - 1, out=bins) + BINS * np.arange(SIGNALS)
            found = np.bincount(where.reshape(-1), minlength=SIGNALS * BINS)
            self.counts[row] += found.reshape(SIGNALS, BINS)

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


def to_face_frame(landmarks: Floats, borders: Sequence[int] | NDArray[np.int64] = ()) -> Floats:
    """Landmarks as places in a frame of the face, and that frame's motion.

    A similarity in the plane is a complex number times a point, plus another.

    Parameters
    ----------
    landmarks : (n, 68, 2) float64, finite, source pixels
    borders : indices of frames at which another piece begins

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
    # Piece by piece: the last bits of a product depend on how many rows it has.
    products = [piece @ rigid.conj() for piece in np.split(own - centre[:, None], borders)]
    turn = np.concatenate(products) / float((abs(rigid) ** 2).sum())
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
