"""The weights files that face-alignment loads: which ones, where they may lie, and what they are.

The package fetches what it does not find. Here a file is looked for beforehand, its path is given,
and fetching is shut off while the package loads.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from ....errors import UsageError, WeightsError

LANDMARK_FILE = "2DFAN4-11f355bf06.pth.tar"

# Face detector -> the files that its constructor takes, by its keyword. Names: as the package
# stores what it fetches (face-alignment 1.5.0).
DETECTOR_FILES: dict[str, dict[str, str]] = {
    "sfd": {"path_to_detector": "s3fd-619a316812.pth"},
    "blazeface": {"path_to_detector": "blazeface.pth", "path_to_anchor": "anchors.npy"},
    "retinaface": {"path_to_detector": "retinaface_mobilenet0.25.pth"},
    "scrfd": {"path_to_detector": "scrfd_2.5g_bnkps.onnx"},
    "yunet": {"path_to_detector": "face_detection_yunet_2023mar.onnx"},
    "dlib": {},
}
# On a GPU dlib's detector is a network, which comes with a package that glee has anyway.
_DLIB_NETWORK = "mmod_human_face_detector.dat"
_DLIB_PACKAGE = "face_recognition_models"

# The package's functions are exchanged while it loads, so one thread at a time may load it.
_LOADING = threading.Lock()


def default_folder() -> Path:
    """Where the package keeps what it fetches: hub/checkpoints in TORCH_HOME."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def find_weights(
    face_detector: str, device: str, folder: Path | None
) -> tuple[Path, dict[str, str]]:
    """The landmark network's file, and the face detector's by keyword.

    folder: that of the user; None for `default_folder`.
    Raises UsageError for an unknown face detector, WeightsError naming all files that are missing.
    """
    if face_detector not in DETECTOR_FILES:
        known = ", ".join(DETECTOR_FILES)
        raise UsageError(f"face detector fan:{face_detector} is unknown; known are: {known}")
    place = default_folder() if folder is None else folder
    files = {name: place / file for name, file in DETECTOR_FILES[face_detector].items()}
    if face_detector == "dlib" and device.startswith("cuda"):
        files["path_to_detector"] = _dlib_network(place)
    wanted = [place / LANDMARK_FILE, *files.values()]
    missing = [path.name for path in wanted if not path.is_file()]
    if missing:
        raise WeightsError(
            f"{place}: {' and '.join(missing)} missing; glee fetches nothing: put the files that "
            "face-alignment 1.5.0 uses there, or name their folder with --weights or TORCH_HOME "
            "(docs/backends.md)"
        )
    return wanted[0], {name: str(path) for name, path in files.items()}


def _dlib_network(place: Path) -> Path:
    own = place / _DLIB_NETWORK
    spec = find_spec(_DLIB_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec and not own.is_file() else []:
        packed = Path(folder) / "models" / _DLIB_NETWORK
        if packed.is_file():
            return packed
    return own


def digest(path: Path) -> str:
    """The first eight hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


@contextmanager
def offline(landmark_file: Path, api: ModuleType) -> Iterator[None]:
    """The package loads `landmark_file` as its network, and can fetch nothing.

    api: the module face_alignment.api. Raises WeightsError where it wants any other file.
    """
    utils = import_module("face_alignment.utils")

    def local(url: str, *_: Any, **__: Any) -> str:
        if url.rsplit("/", 1)[-1] == landmark_file.name:
            return str(landmark_file)
        return _refuse(url)

    with (
        _LOADING,
        mock.patch.object(api, "load_file_from_url", local),
        mock.patch.object(utils, "download_url_to_file", _refuse),
        mock.patch("torch.hub.download_url_to_file", _refuse),
    ):
        yield


def _refuse(url: str, *_: Any, **__: Any) -> str:
    name = url.rsplit("/", 1)[-1].split("?")[0]
    raise WeightsError(
        f"face-alignment wants {name}, which this glee does not know of; install "
        "face-alignment==1.5.0"
    )
