"""A backend in another one's place: everything it does not override is the other's."""

from __future__ import annotations

import math

import numpy as np

from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.landmarks import Box, Detector, Wrapped
from glee.pipeline.landmarks.tracking import best_orientation

IMAGE = np.zeros((60, 80, 3), np.uint8)


class Plain:
    """A backend of others, which inherits from nothing and knows only what it must."""

    name, version = "plain", "3"

    def __init__(self):
        self.asked = []

    def detect(self, image, *, thorough=False):
        self.asked.append(thorough)
        return [(Box(1, 2, 30, 40), 0.95)]

    def landmarks(self, image, box):
        return np.full((68, 2), box.left, np.float32), 0.5

    def box_of(self, landmarks):
        return Box(5, 6, 7, 8)


class Sure(Plain):
    """One that says from which score on a face is upright."""

    upright_from = 0.9


class Shifting(Wrapped):
    """A wrapper that changes landmarks, as the refiner does."""

    def refined(self, image, landmarks):
        return super().refined(image, landmarks) + 1


def test_everything_is_handed_on():
    backend = Sure()
    wrapped = Wrapped(Wrapped(backend))
    assert (wrapped.name, wrapped.version, wrapped.upright_from) == ("plain", "3", 0.9)
    assert wrapped.innermost is backend
    assert wrapped.detect(IMAGE, thorough=True) == [(Box(1, 2, 30, 40), 0.95)]
    assert backend.asked == [True]
    landmarks, confidence = wrapped.landmarks(IMAGE, Box(9, 0, 20, 20))
    assert confidence == 0.5
    assert (landmarks == 9).all()
    assert wrapped.box_of(landmarks) == Box(5, 6, 7, 8)
    assert wrapped.refined(IMAGE, landmarks) is landmarks


def test_landmarks_go_through_all_wrappers_from_the_inside():
    wrapped = Wrapped(Shifting(Shifting(Plain())))
    first = np.zeros((68, 2), np.float32)
    np.testing.assert_array_equal(wrapped.refined(IMAGE, first), np.full((68, 2), 2))


def test_a_backend_that_does_not_know_the_way_up_is_never_certain():
    assert Detector.upright_from == math.inf
    assert Wrapped(Plain()).upright_from == math.inf
    backend = Plain()
    best_orientation(backend, IMAGE, Box(1, 2, 30, 40), 0.99)
    assert len(backend.asked) > 1


def test_what_a_backend_is_certain_of_is_known_to_whoever_wraps_it():
    backend = Sure()
    box = Box(1, 2, 30, 40)
    assert best_orientation(IrisDetector(backend), IMAGE, box, 0.95) is box
    assert backend.asked == []
    best_orientation(IrisDetector(backend), IMAGE, box, 0.85)
    assert backend.asked


def test_a_backend_without_irises_gives_none():
    detector = IrisDetector(Plain())
    landmarks, _ = detector.landmarks(IMAGE, Box(3, 0, 9, 9))
    assert np.isnan(detector.irises_of(landmarks)).all()
