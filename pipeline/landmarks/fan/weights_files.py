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
# On a GPU dlib's detector is a network, which comes with a package of the extra dlib.
_DLIB_NETWORK = "mmod_human_face_detector.dat"
_DLIB_PACKAGE = "face_recognition_models"

# The package's functions are exchanged while it loads, so one thread at a time may load it.
_LOADING = threading.Lock()


def default_folder() -> Path:
    """Name the folder where the package keeps what it fetches.

    Returns
    -------
    Path
        hub/checkpoints in TORCH_HOME.
    """
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def find_weights(
    face_detector: str, device: str, folder: Path | None
) -> tuple[Path, dict[str, str]]:
    """Find the weights files of a face detector and of the landmark network.

    Parameters
    ----------
    face_detector : str
        A key of DETECTOR_FILES.
    device : str
        "cpu" or "cuda".
    folder : Path or None
        That of the user; None for `default_folder`.

    Returns
    -------
    network : Path
        The landmark network's file.
    files : dict
        The face detector's files by keyword.

    Raises
    ------
    UsageError
        For an unknown face detector.
    WeightsError
        Naming all files that are missing.
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
    """Tell a file from others.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        The first eight hexadecimal digits of its SHA-256.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


@contextmanager
def offline(landmark_file: Path, api: ModuleType) -> Iterator[None]:
    """Have the package load a file as its network while the block lasts, and fetch nothing.

    Parameters
    ----------
    landmark_file : Path
        The network's weights.
    api : module
        face_alignment.api.

    Raises
    ------
    WeightsError
        Where the package wants any other file.
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
