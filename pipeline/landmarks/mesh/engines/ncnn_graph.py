"""A network in ncnn's two files: the list of its layers, and their weights one after the other.

Both are built in memory from parameters; numbers of the options are those of ncnn's layers.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ....images.crops import Image

Float32 = npt.NDArray[np.float32]

_MAGIC = 7767517
# What weights begin with that are plain float32.
_PLAIN = np.uint32(0).tobytes()


class _Layer(NamedTuple):
    kind: str
    inputs: list[str]
    outputs: list[str]
    options: dict[int, float]


class Graph:
    """Layers, added one after the other; each method returns the name of its layer's result."""

    def __init__(self) -> None:
        self._layers: list[_Layer] = []
        self._weights: list[bytes] = []
        self._kept: list[str] = []

    def layer(
        self, kind: str, inputs: list[str], options: dict[int, float] | None = None, name: str = ""
    ) -> str:
        """Any layer without weights, or whose weights are added after it."""
        result = name or f"{kind.lower()}{len(self._layers)}"
        self._layers.append(_Layer(kind, inputs, [result], options or {}))
        return result

    def weights(self, values: Float32, *, marked: bool = True) -> None:
        """Weights of the layer added last; marked where ncnn may keep them in other types."""
        self._weights.append(_PLAIN * marked + np.ascontiguousarray(values, np.float32).tobytes())

    def convolution(
        self,
        features: str,
        weight: Float32,
        bias: Float32 | None,
        *,
        stride: int = 1,
        before: int = 0,
        after: int = 0,
        relu: bool = False,
    ) -> str:
        """weight: (outputs, inputs, k, k); before, after: zeros around, left and top, or else.

        relu: what is below 0 becomes 0, on the way to memory.
        """
        pads = before, after
        return self._convolution("Convolution", features, weight, bias, stride, pads, relu)

    def depthwise(
        self,
        features: str,
        weight: Float32,
        bias: Float32 | None,
        *,
        stride: int = 1,
        before: int = 1,
        after: int = 1,
        relu: bool = False,
    ) -> str:
        """A convolution of each channel by itself. weight: (channels, 1, k, k)."""
        kind, pads = "ConvolutionDepthWise", (before, after)
        return self._convolution(kind, features, weight, bias, stride, pads, relu)

    def _convolution(
        self,
        kind: str,
        features: str,
        weight: Float32,
        bias: Float32 | None,
        stride: int,
        pads: tuple[int, int],
        relu: bool,
    ) -> str:
        outputs, _, kernel, _ = weight.shape
        before, after = pads
        options = {0: outputs, 1: kernel, 3: stride, 4: before, 14: before, 15: after, 16: after}
        options |= {5: int(bias is not None), 6: weight.size, 9: int(relu)}
        if kind != "Convolution":
            options[7] = outputs
        result = self.layer(kind, [features], options)
        self.weights(weight)
        if bias is not None:
            self.weights(bias, marked=False)
        return result

    def prelu(self, features: str, slopes: Float32) -> str:
        """slopes: (channels,)."""
        result = self.layer("PReLU", [features], {0: slopes.size})
        self.weights(slopes, marked=False)
        return result

    def relu(self, features: str) -> str:
        """What is below 0 becomes 0."""
        return self.layer("ReLU", [features])

    def halved(self, features: str) -> str:
        """The largest of each 2x2 pixels."""
        return self.layer("Pooling", [features], {0: 0, 1: 2, 2: 2})

    def doubled(self, features: str) -> str:
        """Each pixel twice as wide and twice as tall."""
        return self.layer("Interp", [features], {0: 1, 1: 2.0, 2: 2.0})

    def by_row(self, features: str, columns: int, rows: int) -> str:
        """The same numbers as a matrix (rows, columns)."""
        return self.layer("Reshape", [features], {0: columns, 1: rows})

    def first_row(self, features: str, columns: int) -> str:
        """The first row of a matrix (rows, columns), as a matrix."""
        return self.layer("Crop", [features], {3: columns, 4: 1})

    def added(self, first: str, second: str) -> str:
        """The sum, element by element."""
        return self.layer("BinaryOp", [first, second], {0: 0})

    def more_channels(self, features: str, more: int) -> str:
        """So many channels of zeros behind the others."""
        return (
            self.layer("Padding", [features], {7: 0, 8: more, 4: 0, 5: 0.0}) if more else features
        )

    def product(self, left: Float32, features: str, bias: Float32) -> str:
        """left (m, k) @ features (k, n) + bias, (m, 1) or (m, n)."""
        m, k = left.shape
        kind = 2 if bias.shape[1] == 1 else 3
        columns = 0 if kind == 2 else bias.shape[1]
        options = {4: 1, 6: 1, 7: m, 8: columns, 9: k, 10: kind}
        result = self.layer("Gemm", [features], options)
        self.weights(left)
        self.weights(bias)
        return result

    def product_by(self, features: str, right: Float32, bias: Float32) -> str:
        """features (m, k) @ right (k, n) + bias (n,)."""
        k, n = right.shape
        result = self.layer("Gemm", [features], {5: 1, 6: 1, 7: 0, 8: n, 9: k, 10: 4})
        self.weights(right)
        self.weights(bias)
        return result

    def text(self) -> str:
        """The list of layers. A result that several take is split, as ncnn wants it."""
        uses = Counter(name for layer in self._layers for name in layer.inputs)
        uses.update(self._kept)
        split: dict[str, int] = {}
        rows: list[_Layer] = []
        for layer in self._layers:
            inputs = []
            for name in layer.inputs:
                if uses[name] > 1:
                    split[name] = split.get(name, 0) + 1
                    inputs.append(f"{name}_{split[name]}")
                else:
                    inputs.append(name)
            rows.append(layer._replace(inputs=inputs))
            (result,) = layer.outputs
            if uses[result] > 1:
                parts = [f"{result}_{number + 1}" for number in range(uses[result])]
                rows.append(_Layer("Split", [result], parts, {}))
        lines = [str(_MAGIC), f"{len(rows)} {sum(len(row.outputs) for row in rows)}"]
        for number, row in enumerate(rows):
            names = " ".join([*row.inputs, *row.outputs])
            options = " ".join(f"{key}={value}" for key, value in row.options.items())
            counts = f"{len(row.inputs)} {len(row.outputs)}"
            lines.append(f"{row.kind} layer{number} {counts} {names} {options}".rstrip())
        return "\n".join(lines) + "\n"

    def results(self, **names: str) -> dict[str, str]:
        """Have results at hand when the network has run: their names in `text`, by others.

        Of a result that is split, the last part.
        """
        self._kept += names.values()
        uses = Counter(name for layer in self._layers for name in layer.inputs)
        return {
            own: f"{name}_{uses[name] + 1}" if uses[name] else name for own, name in names.items()
        }

    def load(self) -> Any:
        """The network, for one core, in float32. Raises RuntimeError where ncnn refuses it."""
        import ncnn

        network = ncnn.Net()
        options = network.opt
        options.num_threads = 1
        options.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(options, f"use_{kind}", False)
        options.use_int8_inference = False
        # Larger tiles of a 3x3 convolution make its weights four to seven times as many, which
        # the caches no longer hold: what runs beside it costs more than the products that it saves.
        options.use_winograd43_convolution = options.use_winograd63_convolution = False
        # ncnn reads weights from a file alone.
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.bin"
            weights.write_bytes(b"".join(self._weights))
            if network.load_param_mem(self.text()) or network.load_model(str(weights)):
                raise RuntimeError("ncnn does not read its own layers")
        return network


class Network:
    """A network and the names of its results. Raises as `Graph.load`."""

    def __init__(self, graph: Graph, results: dict[str, str]) -> None:
        self._network, self._results = graph.load(), results

    def run(self, given: Mapping[str, Any]) -> dict[str, Float32]:
        """All results by name. given: ncnn's matrices by the names of the inputs."""
        extractor = self._network.create_extractor()
        for name, values in given.items():
            extractor.input(name, values)
        return {name: _copied(extractor.extract(at)) for name, at in self._results.items()}


def _copied(extracted: tuple[int, Any]) -> Float32:
    failed, values = extracted
    if failed:
        raise RuntimeError(f"ncnn ended with {failed}")
    return np.array(values)


def matrix(values: Float32) -> Any:
    """Values as ncnn takes them: its own memory is aligned as its layers need it."""
    import ncnn

    contiguous = np.ascontiguousarray(values, np.float32)
    return ncnn.Mat(contiguous).clone()


def pixels_of(image: Image, mean: float, scale: float) -> Any:
    """(value - mean) x scale of an image (h, w, 3), as ncnn takes it; a fourth channel is left."""
    import ncnn

    height, width = image.shape[:2]
    # Of four channels ncnn takes three apart in a third of the time, the conversion included.
    wider = image if image.shape[2] == 4 else cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    values = ncnn.Mat.from_pixels(wider, ncnn.Mat.PixelType.PIXEL_RGBA2RGB, width, height)
    values.substract_mean_normalize([mean] * 3 if mean else [], [scale] * 3)
    return values
