"""Landmarks as a moving frame of the face and their places in it: 140 signals in time.

The frame is the similarity that takes the mean head's rigid points (eye corners, nose) to the
detected ones. What is left of the landmarks in it is expression, person and the detector's noise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .morphable_model.landmark_scheme import COUNT, OUTER_EYE_CORNERS
from .morphable_model.model_file import load_model

Floats = NDArray[np.float64]

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
