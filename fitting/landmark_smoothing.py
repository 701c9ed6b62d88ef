"""Landmarks smoothed in time: a Kalman filter and smoother, both ways, without lag.

Each signal of face_frame.py moves with constant velocity that random accelerations change (Harvey's
local linear trend without noise of its level). Accelerations are not normal: a face rests, then a
brow goes up within four frames. Their variance is therefore that of a t distribution with few
degrees of freedom: a factor a frame and part of the face, found by expectation maximisation from
the accelerations of all its landmarks together, so that onsets and blinks stay as sharp as they
are. The smoother is the one of de Jong (1989), which gives the accelerations too.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .face_frame import from_face_frame, part_of_signal, to_face_frame
from .track_noise import TrackNoise

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
