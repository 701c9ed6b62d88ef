"""Landmark backends by name: glee's own, those of others, `auto`; and what a user may tell one."""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError, WeightsError
from ...fitting.calibration.calibration import Detect
from ...fitting.calibration.dense import DenseDetect
from .dense_landmarks import DenseDetector
from .detector import REFINED, Detector

if TYPE_CHECKING:
    from .refiner.photograph_refiner import PhotographRefiner

# Backends are entry points of this group, glee's own and those of others; none is imported before
# it is asked for.
ENTRY_POINT_GROUP = "glee.landmark_backends"
BUILTIN: tuple[metadata.EntryPoint, ...] = tuple(
    metadata.EntryPoint(name, f"glee.pipeline.landmarks.{value}", ENTRY_POINT_GROUP)
    for name, value in (
        ("dlib", "dlib_backend:DlibDetector"),
        ("mesh", "mesh.backend:MeshDetector"),
        ("fan", "fan.backend:FanDetector"),
    )
)
# The choice of `auto`, best first: by photographs with human landmarks, docs/landmarks.md. The
# refiner was trained on renders and loses on photographs; it stays for who asks for it.
AUTO = "auto"
PREFERENCE = ("mesh", "dlib")


class BackendSettings(NamedTuple):
    """What a user may tell a backend; None: its own default.

    Attributes
    ----------
    weights : str or None
        Folder of its weights files.
    device : str or None
        "cpu" or "cuda".
    flip : bool or None
        Average the landmarks with those of the mirrored face.
    refiner : str or None
        File of the refiner whose digest the backend's name states: see `stated_detector`.
    """

    weights: str | None = None
    device: str | None = None
    flip: bool | None = None
    refiner: str | None = None


DEFAULT_SETTINGS = BackendSettings()


def _backends() -> dict[str, metadata.EntryPoint]:
    """All backends by name; one of others does not replace a built-in one."""
    others = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {entry.name: entry for entry in (*others, *BUILTIN)}


def detector_names() -> tuple[str, ...]:
    """List all backends, built in or installed by others.

    Returns
    -------
    tuple of str
        Their names, sorted.
    """
    return tuple(sorted(_backends()))


@lru_cache(maxsize=4)
def load_detector(name: str, settings: BackendSettings = DEFAULT_SETTINGS) -> Detector:
    """Load the backend of that name; it is made once a process and kept.

    Parameters
    ----------
    name : str
        As in `detector_names`; a part after a colon is the backend's `variant`, as in
        `fan:blazeface`; with REFINED at its end, its landmarks are refined, and with
        `+refiner:FILE` by the weights file of `glee train-landmarks --photos`.
    settings : BackendSettings
        What the user tells it.

    Returns
    -------
    Detector
        Ready to run.

    Raises
    ------
    UsageError
        Where the name is unknown or the backend does not take a setting.
    WeightsError
        Where its model files are missing.
    """
    if f"{REFINED}:" in name:
        from .refiner.refine import RefinedDetector

        bare = name.partition(REFINED)[0]
        refiner = _refiner_of(name, settings)
        return RefinedDetector(load_detector(bare, settings._replace(refiner=None)), refiner)
    if name.endswith(REFINED):
        from .refiner.refine import RefinedDetector

        return RefinedDetector(load_detector(name.removesuffix(REFINED), settings))
    backend, _, variant = name.partition(":")
    entry = _backends().get(backend)
    if entry is None and backend in ("openface", "csv"):
        raise UsageError(
            f"detector {name}: landmarks of files are taken by `glee preprocess` alone, from "
            f"{backend}:DIR; give a backend here"
        )
    if entry is None:
        refined = f"{PREFERENCE[0]}{REFINED}"
        known = dict.fromkeys((AUTO, *PREFERENCE, *detector_names(), refined, f"{refined}:FILE"))
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


def _refiner_of(name: str, settings: BackendSettings) -> PhotographRefiner:
    """The refiner of `mesh+refiner:FILE`, or of `mesh+refiner:DIGEST` and a file of that digest."""
    from .refiner.photograph_refiner import load_photograph_refiner  # it imports torch

    backend, _, file = name.partition(f"{REFINED}:")
    if not file:
        raise UsageError(f"detector {name}: names no file behind the colon; give one")
    refiner = load_photograph_refiner(backend, Path(settings.refiner or file))
    if settings.refiner and refiner.version != file:
        raise WeightsError(
            f"{settings.refiner}: has the digest {refiner.version}, not {file}; it was changed "
            "since the run began: begin anew"
        )
    return refiner


def chosen_detector(name: str, settings: BackendSettings = DEFAULT_SETTINGS) -> str:
    """Choose a backend where the user leaves it to us.

    Parameters
    ----------
    name : str
        A backend's name, or `auto`.
    settings : BackendSettings
        What the user tells it.

    Returns
    -------
    str
        The name; for `auto` that of the best backend whose libraries and weights are installed.

    Raises
    ------
    UsageError, WeightsError
        As `load_detector`; for `auto`, where no backend is there, what the best one lacks.
    """
    if name != AUTO:
        return name
    lacking: list[WeightsError] = []
    for backend in PREFERENCE:
        try:
            load_detector(backend, settings)
        except WeightsError as error:
            lacking.append(error)
            continue
        return backend
    raise lacking[0]


def refined_name(name: str, refine: bool | None) -> str:
    """Name a backend with or without the refiner.

    Parameters
    ----------
    name : str
        The backend's.
    refine : bool or None
        None leaves the name as it is.

    Returns
    -------
    str
        With or without REFINED at its end.
    """
    bare, refined, _ = name.partition(REFINED)
    if refine is None or (refine and refined):
        return name
    return bare + REFINED * refine


def stated_detector(name: str, settings: BackendSettings) -> tuple[str, BackendSettings]:
    """Name a backend as shards and options state it: a refiner's file by its digest.

    Parameters
    ----------
    name : str
        As the user gives it, `mesh+refiner:FILE`.
    settings : BackendSettings
        What the user tells the backend.

    Returns
    -------
    name : str
        `mesh+refiner:DIGEST`, or the same.
    settings : BackendSettings
        With the file, by which `load_detector` finds it again.

    Raises
    ------
    UsageError, WeightsError
        As `load_detector`.
    """
    backend, refined, file = name.partition(f"{REFINED}:")
    if not refined:
        return name, settings
    ending = _refiner_of(name, settings).ending
    return f"{backend}{ending}", settings._replace(refiner=str(Path(file).resolve()))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def largest_face(detector: Detector) -> Detect:
    """Run a backend as the pipeline does, on one image after the other.

    Parameters
    ----------
    detector : Detector
        The backend.

    Returns
    -------
    callable
        Image (h, w, 3) uint8 RGB -> landmarks (68, 2) float64 of the largest face, source
        pixels, or None.
    """

    def detect(image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        boxes = [box for box, _ in detector.detect(image, thorough=True)]
        if not boxes:
            return None
        largest = max(boxes, key=lambda box: box.area)
        points, _ = detector.landmarks(image, largest)
        # As tracking does: the box of the last landmarks, from the second frame on.
        points, _ = detector.landmarks(image, detector.box_of(points))
        return np.asarray(points, np.float64)

    return detect


def largest_dense_face(detector: Detector) -> DenseDetect:
    """Run a backend as `largest_face` does, with its dense points.

    Parameters
    ----------
    detector : Detector
        The backend.

    Returns
    -------
    callable
        Image (h, w, 3) uint8 RGB -> landmarks (68, 2) and dense points (d, 2), float64, source
        pixels, or None.

    Raises
    ------
    UsageError
        Where the backend has no dense points.
    """
    dense = DenseDetector(detector)
    find = largest_face(dense)

    def detect(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        landmarks = find(image)
        if landmarks is None:
            return None
        return landmarks, dense.latest().astype(np.float64)

    return detect
