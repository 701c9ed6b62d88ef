"""A landmark backend for the fault campaign: quick, and its landmarks depend on the image.

Installed as a third party's would be, by an entry point (see conftest.py). STEADY_NAP: seconds that
a face takes, asleep, so that there is time to kill something.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np

from glee.pipeline.landmarks.detector import Box

FACE = Path(__file__).with_name("steady_face.json")
MARGIN = 0.25


class SteadyDetector:
    """One face in the middle of every image, moved a little by the image's mean colours."""

    name = "steady"
    version = "1"

    def __init__(self):
        self._face = np.array(json.loads(FACE.read_text()))  # (68, 2), in a box of side 1
        self._nap = float(os.environ.get("STEADY_NAP", "0"))

    def detect(self, image, *, thorough=False):
        height, width = image.shape[:2]
        side = min(height, width) * (1 - 2 * MARGIN)
        left, top = (width - side) / 2, (height - side) / 2
        return [(Box(left, top, left + side, top + side), 1.0)]

    def landmarks(self, image, box):
        time.sleep(self._nap)
        (found, _), *_ = self.detect(image)
        side = found.right - found.left
        shift = image.mean((0, 1))[:2] / 255
        return (self._face * side + (found.left, found.top) + shift).astype(np.float32), 1.0

    def box_of(self, landmarks):
        side = float(np.ptp(landmarks, axis=0).max())
        left, top = landmarks.min(0)
        return Box(float(left), float(top), float(left) + side, float(top) + side)
