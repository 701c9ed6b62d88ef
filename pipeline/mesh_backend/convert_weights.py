"""Builds mesh_weights.npz from the wheel mediapipe 0.10.21: `python -m ... WHEEL`.

    pip download --no-deps mediapipe==0.10.21
    python -m glee.pipeline.mesh_backend.convert_weights mediapipe-0.10.21-*.whl

The wheel is only unzipped. The models number their layers in the order in which the networks here
use them, so that each parameter is found by the number of its kind; the last layers have names.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from ...errors import UsageError, WeightsError
from .face_detector import FaceDetector
from .face_mesh import FaceMesh
from .tflite_weights import read_constants
from .weights import WEIGHTS_PATH, write_weights

SOURCE = "mediapipe 0.10.21"
_MODULES = "mediapipe/modules"
_DETECTOR = f"{_MODULES}/face_detection/face_detection_short_range.tflite"
_MESH = f"{_MODULES}/face_landmark/face_landmark_with_attention.tflite"

# Order of numbered layers, and layers with names of their own. MediaPipe's left is the viewer's.
_DETECTOR_ORDER = ("stem", "fine", "coarse")
_DETECTOR_NAMES = {
    "fine_scores": "classificator_8",
    "coarse_scores": "classificator_16",
    "fine_numbers": "regressor_8",
    "coarse_numbers": "regressor_16",
}
_MESH_ORDER = (
    *("stem", "early", "late", "mesh", "lips_window", "lips"),
    *("right_eye_window", "right_eye", "right_iris"),
    *("left_eye_window", "left_eye", "left_iris"),
)
_MESH_NAMES = {
    "mesh.points": "output_mesh",
    "presence": "conv_faceflag",
    "lips.head.points": "conv_lips",
    "right_eye.head.points": "conv_left_eye",
    "right_iris.head.points": "conv_left_iris",
    "left_eye.head.points": "conv_right_eye",
    "left_iris.head.points": "conv_right_iris",
}

Constants = Mapping[str, npt.NDArray[np.generic]]


def convert(wheel: Path) -> dict[str, npt.NDArray[np.float16]]:
    """Both networks' parameters by name, "detector." or "mesh." before it.

    Raises WeightsError where the wheel lacks a model or a model has other layers.
    """
    with zipfile.ZipFile(wheel) as archive:
        try:
            models = {name: archive.read(name) for name in (_DETECTOR, _MESH)}
        except KeyError as error:
            raise WeightsError(f"{wheel}: {error.args[0]}; give the wheel of {SOURCE}") from None
    detector = read_constants(models[_DETECTOR], _DETECTOR)
    mesh = read_constants(models[_MESH], _MESH)
    return {
        **_parameters("detector", FaceDetector(), detector, _DETECTOR_ORDER, _DETECTOR_NAMES),
        **_parameters("mesh", FaceMesh(), mesh, _MESH_ORDER, _MESH_NAMES),
    }


def _parameters(
    prefix: str,
    network: nn.Module,
    constants: Constants,
    order: Iterable[str],
    names: Mapping[str, str],
) -> dict[str, npt.NDArray[np.float16]]:
    layers = dict(network.named_modules())
    sources = dict(names)
    counts = {"conv2d": 0, "depthwise_conv2d": 0, "p_re_lu": 0}
    for part in order:
        for name, layer in layers.items():
            kind = _kind(layer)
            if name.split(".")[0] == part and kind is not None and name not in names:
                number = counts[kind]
                counts[kind] += 1
                sources[name] = f"{kind}_{number}" if number else kind
    parameters = {}
    for name, source in sources.items():
        if isinstance(layers[name], nn.PReLU):
            parameters[f"{prefix}.{name}.weight"] = _constant(constants, f"{source}/Alpha").ravel()
            continue
        kernel = _constant(constants, f"{source}/Kernel")
        # Depthwise kernels are (1, height, width, channels), others (outputs, height, width, in).
        axes = (3, 0, 1, 2) if source.startswith("depthwise") else (0, 3, 1, 2)
        parameters[f"{prefix}.{name}.weight"] = np.ascontiguousarray(kernel.transpose(axes))
        parameters[f"{prefix}.{name}.bias"] = _constant(constants, f"{source}/Bias")
    half = sum(value.dtype == np.float16 for value in constants.values())
    if half - sum("multiply_by" in name for name in constants) > len(parameters):
        raise WeightsError(f"{SOURCE}, {prefix}: {half} constants, {len(parameters)} expected")
    return parameters


def _kind(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.PReLU):
        return "p_re_lu"
    if isinstance(layer, nn.Conv2d):
        return "depthwise_conv2d" if layer.groups > 1 else "conv2d"
    return None


def _constant(constants: Constants, name: str) -> npt.NDArray[np.float16]:
    if name not in constants:
        raise WeightsError(f"the model lacks {name}; give the wheel of {SOURCE}")
    return np.asarray(constants[name], np.float16)


def main(arguments: list[str]) -> None:
    """Write the weights file beside this module. arguments: the wheel's path."""
    if len(arguments) != 1:
        raise UsageError(f"{len(arguments)} arguments: give the wheel of {SOURCE}")
    write_weights(WEIGHTS_PATH, convert(Path(arguments[0])), source=SOURCE)


if __name__ == "__main__":
    main(sys.argv[1:])
