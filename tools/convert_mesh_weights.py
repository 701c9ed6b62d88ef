"""Builds mesh_weights.npz from MediaPipe's bundle face_landmarker.task.

    python tools/convert_mesh_weights.py face_landmarker.task

The bundle is a zip of three TensorFlow Lite models: a face detector, a face mesh and a blendshape
network. Their constants are read without any other package. A model lists its operators in the
order in which they run, and the torch modules of `pipeline/landmarks/mesh` name their layers in
that order too, so that each layer takes the constants of the next operator of its kind.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from glee.errors import GleeError, UsageError, WeightsError
from glee.pipeline.landmarks.mesh.networks import BlendshapeNet, FaceDetector, FaceMesh, Pointwise
from glee.pipeline.landmarks.mesh.weights import WEIGHTS_PATH, write_weights

SOURCE = "face_landmarker.task"
# Of the bundle that the weights in this repository come from.
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"

# Each network's prefix in the weights file, its class, its model in the bundle, and the numbers of
# the convolutions there that the torch module leaves out: the mesh's third output.
_NETWORKS = (
    ("detector", FaceDetector, "face_detector.tflite", ()),
    ("mesh", FaceMesh, "face_landmarks_detector.tflite", (69,)),
    ("blendshapes", BlendshapeNet, "face_blendshapes.tflite", ()),
)

# TensorFlow Lite's FlatBuffers schema, version 3, as far as it is needed here: numbers of types,
# of operators, and of the fields of its tables.
_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
_DEQUANTIZE = 6
_KINDS = {2: "concatenation", 3: "convolution", 4: "depthwise", 18: "product", 54: "prelu"}
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_OLD, _CODE = 0, 3
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER = 0, 1, 2
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2

Array = npt.NDArray[np.generic]
Parameters = dict[str, npt.NDArray[np.float16]]


class Operator(NamedTuple):
    """An operator of a TensorFlow Lite model.

    Attributes
    ----------
    kind : a value of `_KINDS`
    constants : those of its inputs that are constant, in order
    """

    kind: str
    constants: list[Array]


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

    def integers(self, field: int) -> list[int]:
        """A vector of 32-bit integers."""
        return [int(number) for number in np.frombuffer(self.vector(field, 4), "<i4")]

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


def read_operators(model: bytes, where: str) -> list[Operator]:
    """The operators of a model that have weights, in the order in which they run.

    Parameters
    ----------
    model : bytes
        The file's content.
    where : str
        Names the file in errors.

    Raises
    ------
    WeightsError
        Where the bytes are no TensorFlow Lite model.
    """
    if model[4:8] != b"TFL3":
        raise WeightsError(f"{where}: not a TensorFlow Lite model; give an untouched {SOURCE}")
    root = _Table(model, struct.unpack_from("<I", model, 0)[0])
    graph = root.tables(_MODEL_SUBGRAPHS)[0]
    # Newer files keep numbers over 127 in a field of their own; the larger one is right.
    codes = [
        max(code.integer(_CODE_OLD, "<b"), code.integer(_CODE, "<i"))
        for code in root.tables(_MODEL_CODES)
    ]
    constants = _constants(root, graph)
    operators = []
    for operator in graph.tables(_GRAPH_OPERATORS):
        code = codes[operator.integer(_OPERATOR_CODE, "<I")]
        inputs = operator.integers(_OPERATOR_INPUTS)
        own = [constants[number] for number in inputs if number in constants]
        if code == _DEQUANTIZE and own:
            constants[operator.integers(_OPERATOR_OUTPUTS)[0]] = own[0]
        elif code in _KINDS and own:
            operators.append(Operator(_KINDS[code], own))
    return operators


def _constants(root: _Table, graph: _Table) -> dict[int, Array]:
    """The constants of a model by their tensors' numbers, in its own layout and type."""
    buffers = root.tables(_MODEL_BUFFERS)
    constants: dict[int, Array] = {}
    for number, tensor in enumerate(graph.tables(_GRAPH_TENSORS)):
        content = buffers[tensor.integer(_TENSOR_BUFFER, "<I")].vector(0, 1)
        kind = _TYPES.get(tensor.integer(_TENSOR_TYPE, "<b"))
        if content and kind is not None:
            shape = tensor.integers(_TENSOR_SHAPE)
            constants[number] = np.frombuffer(content, kind).reshape(shape)
    return constants


def convert(bundle: Path) -> Parameters:
    """Read all networks' parameters out of the bundle.

    Parameters
    ----------
    bundle : face_landmarker.task

    Returns
    -------
    dict
        the network's prefix, a dot, the torch module's name -> array

    Raises
    ------
    WeightsError
        the file is no bundle, lacks a model, or a model has other layers
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            models = {name: archive.read(name) for _, _, name, _ in _NETWORKS}
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{bundle}: cannot be read ({error}); give {SOURCE}") from None
    except KeyError as error:
        raise WeightsError(f"{bundle}: {error.args[0]}; give {SOURCE}") from None
    parameters: Parameters = {}
    for prefix, network, name, left_out in _NETWORKS:
        operators = read_operators(models[name], name)
        for key, value in _parameters(network(), operators, left_out, name).items():
            parameters[f"{prefix}.{key}"] = value
    return parameters


def _parameters(
    network: nn.Module, operators: list[Operator], left_out: tuple[int, ...], where: str
) -> Parameters:
    """A network's parameters by name, from its model's operators."""
    waiting = {
        kind: [operator.constants for operator in operators if operator.kind == kind]
        for kind in _KINDS.values()
    }
    waiting["convolution"] = [
        constants
        for number, constants in enumerate(waiting["convolution"])
        if number not in left_out
    ]
    # The mixer's one scalar factor is no weight.
    waiting["product"] = [constants for constants in waiting["product"] if constants[0].ndim]
    parameters: Parameters = {}
    for name, kind, layer in _layers(network):
        if not waiting[kind]:
            raise WeightsError(f"{where}: no {kind} for {name}; give {SOURCE} of {SHA256}")
        for key, value in _of_layer(layer, waiting[kind].pop(0)).items():
            parameters[f"{name}.{key}" if key else name] = value
    for kind, rest in waiting.items():
        if rest:
            raise WeightsError(f"{where}: {len(rest)} {kind}s too many; give {SOURCE} of {SHA256}")
    own = network.state_dict()
    for name, value in parameters.items():
        if value.shape != tuple(own[name].shape):
            raise WeightsError(f"{where}: {name} is {value.shape}, not {tuple(own[name].shape)}")
    return parameters


def _layers(network: nn.Module) -> Iterator[tuple[str, str, nn.Module | None]]:
    """Layers with weights as (name, kind, module), in the order in which they run."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.PReLU):
            yield name, "prelu", layer
        elif isinstance(layer, nn.LayerNorm):
            yield name, "product", layer
        elif isinstance(layer, nn.Conv2d) and layer.groups > 1:
            yield name, "depthwise", layer
        elif isinstance(layer, nn.Conv2d | nn.Linear | Pointwise):
            yield name, "convolution", layer
    if isinstance(network, BlendshapeNet):
        yield "token", "concatenation", None


def _of_layer(layer: nn.Module | None, constants: list[Array]) -> Parameters:
    """A layer's parameters with axes as torch has them, from an operator's constants."""
    weight, *bias = (np.asarray(constant, np.float16) for constant in constants)
    if layer is None:
        return {"": weight.ravel()}
    if isinstance(layer, nn.PReLU | nn.LayerNorm):
        return {"weight": weight.ravel()}
    if isinstance(layer, nn.Conv2d):
        # Depthwise kernels are (1, height, width, channels), others (outputs, height, width,
        # inputs).
        weight = weight.transpose((3, 0, 1, 2) if layer.groups > 1 else (0, 3, 1, 2))
        if layer.bias is None:
            if bias[0].any():
                raise WeightsError(f"a bias that should be 0 is not; give {SOURCE} of {SHA256}")
            return {"weight": weight}
    else:
        weight = weight[:, 0, 0]
        if isinstance(layer, Pointwise):
            weight = weight.T
    return {"weight": weight, "bias": bias[0]}


def main(arguments: list[str]) -> None:
    """Write the weights file of the `mesh` backend.

    Parameters
    ----------
    arguments : the bundle's path

    Raises
    ------
    UsageError
        there is not one argument
    """
    if len(arguments) != 1:
        raise UsageError(f"{len(arguments)} arguments: give the path of {SOURCE}")
    bundle = Path(arguments[0])
    parameters = convert(bundle)
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    write_weights(WEIGHTS_PATH, parameters, source=f"{SOURCE}, SHA-256 {digest}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GleeError as error:
        sys.exit(str(error))
