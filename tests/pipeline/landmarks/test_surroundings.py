"""What a detector sees around a box: the same few pixels, whatever the box, averaged down."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from glee.pipeline.landmarks.detector import Box
from glee.pipeline.landmarks.tracking import FACE_SIDE, SURROUNDINGS, detect_around

SIDE = round(FACE_SIDE * SURROUNDINGS)


class Onlooker:
    """A backend that keeps what it is shown."""

    def detect(self, image):
        self.seen = image
        return []


def seen_around(image, box):
    onlooker = Onlooker()
    assert detect_around(onlooker, image, box) is None
    return onlooker.seen


def square(middle, side):
    return Box(middle - side / 2, middle - side / 2, middle + side / 2, middle + side / 2)


@pytest.mark.parametrize("side", [20, 104, 500, 3000, 6600])
def test_noise_of_single_pixels_vanishes_as_faces_grow(side):
    """The mean of n independent pixels has 1 / sqrt(n) of their deviation; samples keep all."""
    image = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    view = seen_around(image, square(800, side)).astype(float)
    assert view.shape == (SIDE, SIDE, 3)
    inside = SIDE * 0.9 * min(1600 / (side * SURROUNDINGS), 1) / 2
    rows = slice(int(SIDE / 2 - inside) + 1, int(SIDE / 2 + inside))
    # Blocks have at least half of the pixels each way that a pixel of the view stands for.
    within = max(side / FACE_SIDE / 2, 1)
    assert view[rows, rows].std() < 1.25 * image.std() / within
    assert view[rows, rows].mean() == pytest.approx(image.mean(), abs=4)


@pytest.mark.parametrize("side", [100_000, 3_000_000])
def test_a_box_of_any_size_asks_for_bounded_memory(side):
    image = np.full((60, 80, 3), 90, np.uint8)
    tracemalloc.start()
    view = seen_around(image, square(40, side))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert view.shape == (SIDE, SIDE, 3)
    assert most < 256 << 20
