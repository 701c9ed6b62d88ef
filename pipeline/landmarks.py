"""Face detectors: the protocol that a backend fulfils, and how one is found by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module, metadata
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError, WeightsError

ENTRY_POINT_GROUP = "glee.detectors"
_BUILTIN: dict[str, str] = {
    "dlib": "glee.pipeline.dlib_backend:DlibDetector",
    "mesh": "glee.pipeline.mesh_backend.backend:MeshDetector",
}
# The choice of `auto`, best first: by the table in docs/landmarks.md.
AUTO = "auto"
PREFERENCE = ("mesh", "dlib")


class Box(NamedTuple):
    """A face's rectangle, source pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Square pixels; 0 where empty."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)


class Detector(Protocol):
    """A backend. It keeps no memory of images: equal arguments give equal results."""

    name: str
    version: str

    def detect(
        self, image: npt.NDArray[np.uint8], *, thorough: bool = False
    ) -> list[tuple[Box, float]]:
        """Faces of an image (h, w, 3) uint8 RGB: boxes with scores in [0, 1].

        thorough: look for small faces too, at more cost.
        """

    def landmarks(
        self, image: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Landmarks (68, 2) float32, source pixels, of a box's face; confidence in [0, 1]."""

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """The box that `detect` would give to the face with these landmarks."""


def detector_names() -> tuple[str, ...]:
    """Names of all backends, built in or installed by others."""
    others = (entry.name for entry in metadata.entry_points(group=ENTRY_POINT_GROUP))
    return tuple(sorted({*_BUILTIN, *others}))


@lru_cache(maxsize=2)
def load_detector(name: str) -> Detector:
    """The backend of that name; made once a process and kept.

    Raises UsageError where the name is unknown, WeightsError where its model files are missing.
    """
    if name in _BUILTIN:
        module, _, attribute = _BUILTIN[name].partition(":")
        make: Callable[[], Detector] = getattr(import_module(module), attribute)
        return make()
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        detector: Detector = entry.load()()
        return detector
    raise UsageError(f"detector {name!r} is unknown; known are: {', '.join(detector_names())}")


def chosen_detector(name: str) -> str:
    """The backend's name; for `auto` the best one whose libraries and weights are installed.

    Raises as `load_detector` does; for `auto` what the last backend tried lacks.
    """
    if name != AUTO:
        return name
    for backend in PREFERENCE[:-1]:
        try:
            load_detector(backend)
        except (WeightsError, ImportError):
            continue
        return backend
    return PREFERENCE[-1]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    both = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area
    union = one.area + other.area - both
    return both / union if union > 0 else 0.0
