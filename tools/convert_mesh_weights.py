"""mesh_weights.npz from the mediapipe wheel.

Builds mesh_weights.npz from the wheel mediapipe 0.10.21: `python -m ... WHEEL`.

    pip download --no-deps mediapipe==0.10.21
    python tools/convert_mesh_weights.py mediapipe-0.10.21-*.whl

The wheel is only unzipped. The models number their layers in the order in which the networks here
use them, so that each parameter is found by the number of its kind; the last layers have names.

Reads the named constants out of a TensorFlow Lite model file, with no other package.

Only what `convert_weights` needs of the FlatBuffers schema of TensorFlow Lite 3: tensors of the
first subgraph (field 0 shape, 1 type, 2 buffer, 3 name) and the buffers' bytes (field 0).
"""

from __future__ import annotations

import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from glee.errors import UsageError, WeightsError
from glee.pipeline.landmarks.mesh.networks import FaceDetector, FaceMesh, Pointwise
from glee.pipeline.landmarks.mesh.weights import WEIGHTS_PATH, write_weights

SOURCE = "mediapipe 0.10.21"
_MODULES = "mediapipe/modules"
_DETECTOR = f"{_MODULES}/face_detection/face_detection_short_range.tflite"
_MESH = f"{_MODULES}/face_landmark/face_landmark_with_attention.tflite"

# Parts of each network, with the number of a group in it, in the order of the models' layers; and
# the layers with names of their own, by group. MediaPipe's left is the viewer's.
_DETECTOR_ORDER = (("stem", 0), ("fine", 0), ("coarse", 0))
_DETECTOR_NAMES = {
    "fine_scores": ["classificator_8"],
    "coarse_scores": ["classificator_16"],
    "fine_numbers": ["regressor_8"],
    "coarse_numbers": ["regressor_16"],
}
_MESH_ORDER = (
    *(("stem", 0), ("early", 0), ("late", 0), ("narrow", 0)),
    *(("windows", 0), ("branches", 0)),
    *(("windows", 1), ("branches", 1), ("branches", 2)),
    *(("windows", 2), ("branches", 3), ("branches", 4)),
)
_MESH_NAMES = {
    "points": ["output_mesh"],
    "presence": ["conv_faceflag"],
    "branches.points": [
        *("conv_lips", "conv_left_eye", "conv_left_iris", "conv_right_eye", "conv_right_iris")
    ],
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
    order: Iterable[tuple[str, int]],
    names: Mapping[str, list[str]],
) -> dict[str, npt.NDArray[np.float16]]:
    layers = dict(network.named_modules())
    sources = {name: list(groups) for name, groups in names.items()}
    counts: Counter[str] = Counter()
    for part, _ in order:
        for name, layer in layers.items():
            kind = _kind(layer)
            if name.split(".")[0] == part and kind is not None and name not in names:
                number = counts[kind]
                counts[kind] += 1
                sources.setdefault(name, []).append(f"{kind}_{number}" if number else kind)
    parameters = {}
    for name, groups in sources.items():
        for key, parameter in layers[name].named_parameters():
            values = [_value(constants, source, key) for source in groups]
            if isinstance(layers[name], Pointwise) and key == "weight":
                values = [value[:, :, 0, 0].T[None] for value in values]
            rows = len(parameter) // len(groups)
            parameters[f"{prefix}.{name}.{key}"] = np.concatenate(
                [np.pad(v, [(0, rows - len(v)), *[(0, 0)] * (v.ndim - 1)]) for v in values]
            )
    return parameters


def _kind(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.PReLU):
        return "p_re_lu"
    if isinstance(layer, nn.Conv2d) and layer.weight.shape[1] == 1:
        return "depthwise_conv2d"
    return "conv2d" if isinstance(layer, nn.Conv2d | Pointwise) else None


def _value(constants: Constants, source: str, key: str) -> npt.NDArray[np.float16]:
    """A parameter of a model's layer, axes as torch has them."""
    if source.startswith("p_re_lu"):
        return _constant(constants, f"{source}/Alpha").ravel()
    if key == "bias":
        return _constant(constants, f"{source}/Bias")
    # Depthwise kernels are (1, height, width, channels), others (outputs, height, width, inputs).
    axes = (3, 0, 1, 2) if source.startswith("depthwise") else (0, 3, 1, 2)
    return _constant(constants, f"{source}/Kernel").transpose(axes)


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


_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
_MODEL_SUBGRAPHS, _MODEL_BUFFERS = 2, 4
_SHAPE, _TYPE, _BUFFER, _NAME = range(4)


class _Table:
    """A FlatBuffers table at `position` of `data`."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self.fields = position - struct.unpack_from("<i", data, position)[0]

    def place(self, field: int) -> int | None:
        """Where a field's value or reference lies; None where it has its default."""
        slot = 4 + 2 * field
        if slot >= struct.unpack_from("<H", self.data, self.fields)[0]:
            return None
        offset = struct.unpack_from("<H", self.data, self.fields + slot)[0]
        return self.position + offset if offset else None

    def integer(self, field: int, form: str) -> int:
        place = self.place(field)
        return 0 if place is None else int(struct.unpack_from(form, self.data, place)[0])

    def vector(self, field: int, size: int) -> bytes:
        """The bytes of a vector of items of `size` bytes; empty where absent."""
        place = self.place(field)
        if place is None:
            return b""
        start = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, start)[0]
        return self.data[start + 4 : start + 4 + count * size]

    def tables(self, field: int) -> list[_Table]:
        place = self.place(field)
        if place is None:
            return []
        start = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, start)[0]
        items = (start + 4 + 4 * number for number in range(count))
        return [
            _Table(self.data, item + struct.unpack_from("<I", self.data, item)[0]) for item in items
        ]


def read_constants(model: bytes, where: str) -> dict[str, npt.NDArray[np.generic]]:
    """All constants of a model by name, in the model's own layout and type.

    model: the file's bytes. where: names the file in errors. Raises WeightsError where the bytes
    are no TensorFlow Lite model.
    """
    if model[4:8] != b"TFL3":
        raise WeightsError(f"{where}: not a TensorFlow Lite model; give the untouched wheel")
    root = _Table(model, struct.unpack_from("<I", model, 0)[0])
    buffers = root.tables(_MODEL_BUFFERS)
    constants = {}
    for tensor in root.tables(_MODEL_SUBGRAPHS)[0].tables(0):
        content = buffers[tensor.integer(_BUFFER, "<I")].vector(0, 1)
        kind = _TYPES.get(tensor.integer(_TYPE, "<b"))
        if content and kind is not None:
            shape = np.frombuffer(tensor.vector(_SHAPE, 4), "<i4")
            name = tensor.vector(_NAME, 1).decode()
            constants[name] = np.frombuffer(content, kind).reshape(shape)
    return constants
