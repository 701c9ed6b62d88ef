"""The package face-alignment and its networks, loaded from local files with every error named."""

from __future__ import annotations

import pickle
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ....errors import WeightsError
from ..dlib_backend import INSTALL as DLIB
from .weights_files import offline

PACKAGE = "face-alignment==1.5.0"
# Without its dependency opencv-python, which would overwrite opencv-python-headless.
INSTALL = f"pip install scikit-image && pip install --no-deps {PACKAGE}"

# What damaged or other weights files raise: torch, zipfile and pickle in it, OpenCV, ONNX Runtime
# (its kinds derive from RuntimeError or Exception), dlib.
_REMEDY = "get the file again, as face-alignment 1.5.0 uses it"


def package() -> ModuleType:
    """Import the module face_alignment.api.

    Returns
    -------
    module
        As the package has it.

    Raises
    ------
    WeightsError
        Where it is not installed.
    """
    try:
        return import_module("face_alignment.api")
    except ImportError as error:
        what = error.name or str(error)
        raise WeightsError(
            f"detector fan needs the package {PACKAGE} ({what} is missing); install it with "
            f"`{INSTALL}`"
        ) from None


def load_networks(
    variant: str, device: str, network: Path, files: dict[str, str], *, flip: bool
) -> Any:
    """Load face-alignment's FaceAlignment, not compiled, with FAN from a file.

    Parameters
    ----------
    variant : str
        The face detector.
    device : str
        "cpu" or "cuda".
    network : Path
        FAN's weights file.
    files : dict
        The face detector's own files, by keyword.
    flip : bool
        Average with the mirrored face.

    Returns
    -------
    face_alignment.FaceAlignment
        Ready to run.

    Raises
    ------
    WeightsError
        Where a file cannot be used or a package is missing.
    """
    api = package()
    named = ", ".join([network.name, *(Path(file).name for file in files.values())])
    try:
        # Its messages to the console are of no use to glee's users.
        with warnings.catch_warnings(), offline(network, api):
            warnings.simplefilter("ignore")
            return api.FaceAlignment(
                api.LandmarksType.TWO_D,
                device=device,
                flip_input=flip,
                face_detector=variant,
                face_detector_kwargs=files,
                compile=False,
            )
    except WeightsError:
        raise
    except ImportError as error:
        name = error.name or "onnxruntime"
        how = f"the extra dlib: {DLIB}" if name == "dlib" else f"`pip install {name}`"
        raise WeightsError(
            f"face detector fan:{variant} needs the package {name}; install it with {how}, "
            "or take another, such as fan:sfd"
        ) from None
    except Exception as error:  # every library behind the detectors has kinds of its own
        if isinstance(error, pickle.UnpicklingError):
            reason = "it holds other objects than weights, which are never loaded"
        else:
            reason = (" ".join(str(error).split()) or type(error).__name__)[:120]
        raise WeightsError(
            f"{network.parent}: one of {named} cannot be used ({reason}); {_REMEDY}"
        ) from None


def drop_empty_boxes(blazeface: Any) -> None:
    """Let its suppression of doubles see boxes with an area only; without one it never ends.

    Parameters
    ----------
    blazeface : torch.nn.Module
        The network, changed in place.
    """
    decode = blazeface._tensors_to_detections

    def with_area(*output: Any) -> list[Any]:
        found = decode(*output)
        return [
            rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1]) & rows.isfinite().all(1)]
            for rows in found
        ]

    blazeface._tensors_to_detections = with_area
