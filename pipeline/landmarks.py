"""Landmark backends: the protocol that one fulfils, and how it is found by name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError, WeightsError

# Backends are entry points of this group, glee's own and those of others; none is imported before
# it is asked for.
ENTRY_POINT_GROUP = "glee.landmark_backends"
BUILTIN: tuple[metadata.EntryPoint, ...] = tuple(
    metadata.EntryPoint(name, f"glee.pipeline.{value}", ENTRY_POINT_GROUP)
    for name, value in (
        ("dlib", "dlib_backend:DlibDetector"),
        ("mesh", "mesh_backend.backend:MeshDetector"),
        ("fan", "fan_backend.backend:FanDetector"),
    )
)
# The choice of `auto`, best first: by the table in docs/landmarks.md.
AUTO = "auto"
PREFERENCE = ("mesh+refiner", "mesh", "dlib")
# Ending of a backend's name whose landmarks the refiner goes over.
REFINED = "+refiner"


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
    """A backend. It keeps no memory of images: equal arguments give equal results.

    Boxes of turned faces are a `TurnedBox`; landmarks of a backend that does not heed them are not
    taken for valid ones. An attribute `upright_from` may tell the score of `detect` from which a
    face is upright for certain, so that it need not be looked at again.
    """

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


class BatchDetector(Detector, Protocol):
    """A backend that is faster with the faces of several frames at once."""

    batch: int

    def landmarks_of_batch(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Box]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As `landmarks` for n images, each with its box: (n, 68, 2) and confidences (n,)."""


class BackendSettings(NamedTuple):
    """What a user may tell a backend; None: its own default.

    weights: folder of its weights files. device: "cpu" or "cuda". flip: average with the mirror.
    """

    weights: str | None = None
    device: str | None = None
    flip: bool | None = None


DEFAULT_SETTINGS = BackendSettings()


def _backends() -> dict[str, metadata.EntryPoint]:
    """All backends by name; one of others does not replace a built-in one."""
    others = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {entry.name: entry for entry in (*others, *BUILTIN)}


def detector_names() -> tuple[str, ...]:
    """Names of all backends, built in or installed by others."""
    return tuple(sorted(_backends()))


@lru_cache(maxsize=2)
def load_detector(name: str, settings: BackendSettings = DEFAULT_SETTINGS) -> Detector:
    """The backend of that name; made once a process and kept.

    name: as in `detector_names`; a part after a colon is the backend's `variant`, as in
    `fan:blazeface`; with REFINED at its end, its landmarks are refined.
    Raises UsageError where the name is unknown or the backend does not take a setting,
    WeightsError where its model files are missing.
    """
    if name.endswith(REFINED):
        from .refiner.detector import RefinedDetector  # it imports torch

        return RefinedDetector(load_detector(name.removesuffix(REFINED), settings))
    backend, _, variant = name.partition(":")
    entry = _backends().get(backend)
    if entry is None:
        known = dict.fromkeys((AUTO, *PREFERENCE, *detector_names()))
        raise UsageError(f"detector {name!r} is unknown; known are: {', '.join(known)}")
    given: dict[str, Any] = {"variant": variant or None, **settings._asdict()}
    given = {key: value for key, value in given.items() if value is not None}
    try:
        make = entry.load()
    except (ImportError, AttributeError) as error:
        raise WeightsError(
            f"detector {backend}: {entry.value} cannot be imported ({_line(error)}); "
            "install its package again"
        ) from error
    for key in given:
        if key not in inspect.signature(make).parameters:
            raise UsageError(f"detector {backend} takes no {key}; leave it out")
    detector: Detector = make(**given)
    return detector


def chosen_detector(name: str, settings: BackendSettings = DEFAULT_SETTINGS) -> str:
    """The backend's name; for `auto` the best one whose libraries and weights are installed.

    Raises as `load_detector` does; for `auto` what the last backend tried lacks.
    """
    if name != AUTO:
        return name
    for backend in PREFERENCE[:-1]:
        try:
            load_detector(backend, settings)
        except (WeightsError, ImportError):
            continue
        return backend
    return PREFERENCE[-1]


def refined_name(name: str, refine: bool | None) -> str:
    """The backend's name with or without the refiner; None leaves it as it is."""
    bare = name.removesuffix(REFINED)
    return name if refine is None else bare + REFINED * refine


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


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
