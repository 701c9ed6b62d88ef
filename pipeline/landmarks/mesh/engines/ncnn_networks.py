"""MediaPipe's three face networks, and the visibility head, as ncnn's layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ..architecture import (
    ANCHOR_NUMBERS,
    ANCHORS,
    CHANNELS,
    COARSE,
    CROP_SIDE,
    DETECTOR_STEM,
    EPSILON,
    FINE,
    INWARD,
    LAST_SIDE,
    MIXER_BLOCKS,
    SEEN_BLOCKS,
    SEEN_FEATURES,
    SEEN_HIDDEN,
    STAGE_BLOCKS,
    TOKENS,
    WIDE_CHANNELS,
    WIDE_TOKENS,
    WIDTHS,
)
from ..blendshapes import BLENDSHAPES
from ..points import COUNT, EYE_CORNERS, ibug_definition
from ..weights import Parameters
from .ncnn_graph import Graph

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

# Names of the input and of the results.
INPUT = "input"
NUMBERS, SCORES = ("fine_numbers", "coarse_numbers"), ("fine_scores", "coarse_scores")


def detector_graph(given: Parameters) -> tuple[Graph, dict[str, str]]:
    """The face detector, for images (3, side, side) in [-1, 1] of multiples of 16; its results.

    `fine_numbers` and `coarse_numbers`: (anchors * 16, side, side), `fine_scores` and
    `coarse_scores`: (anchors, side, side).
    """
    graph = Graph()
    features = graph.layer("Input", [], name=INPUT)
    weight, bias = _weight_and_bias(given, "stem.convolution", (DETECTOR_STEM, 3, 5, 5))
    features = graph.convolution(features, weight, bias, stride=2, before=1, after=2, relu=True)
    results, inputs = {}, DETECTOR_STEM
    for part, widths, (_, anchors) in zip(("fine", "coarse"), (FINE, COARSE), ANCHORS, strict=True):
        for number, (outputs, stride) in enumerate(widths):
            name = f"{part}.{number}"
            features = _separable(graph, given, name, features, (inputs, outputs), stride)
            inputs = outputs
        for what, count in (("numbers", anchors * ANCHOR_NUMBERS), ("scores", anchors)):
            name = f"{part}_{what}"
            values = _weight_and_bias(given, name, (count, inputs, 1, 1))
            results[name] = graph.convolution(features, *values)
    given.finish()
    return graph, graph.results(**results)


def _separable(
    graph: Graph,
    given: Parameters,
    name: str,
    features: str,
    channels: tuple[int, int],
    stride: int,
) -> str:
    inputs, outputs = channels
    weight, bias = _weight_and_bias(given, f"{name}.depthwise", (inputs, 1, 3, 3))
    kept, before = (graph.halved(features), 0) if stride == 2 else (features, 1)
    new = graph.depthwise(features, weight, bias, stride=stride, before=before)
    new = graph.convolution(new, *_pointwise(given, f"{name}.pointwise", inputs, outputs))
    return graph.relu(graph.added(new, graph.more_channels(kept, outputs - inputs)))


def mesh_graph(given: Parameters, head: Parameters) -> tuple[Graph, dict[str, str]]:
    """The face mesh and the visibility head, for crops (3, 256, 256) in [0, 1]; their results.

    `points`: (1434,), `presence`: (1,), `odds`: (68,).
    """
    graph = Graph()
    features = graph.layer("Input", [], name=INPUT)
    inputs = WIDTHS[0]
    values = _weight_and_bias(given, "stem.convolution", (inputs, 3, 3, 3))
    features = graph.convolution(features, *values, stride=2, after=1)
    features = graph.prelu(features, given.take("stem.activation.weight", inputs))
    read, number = [], 0
    for stage, width in enumerate(WIDTHS):
        for block in range(STAGE_BLOCKS + bool(stage)):
            stride = 2 if stage and not block else 1
            name = f"stages.{number}"
            features = _bottleneck(graph, given, name, features, (inputs, width), stride)
            if number in SEEN_BLOCKS:
                read.append(features)
            inputs, number = width, number + 1
    shape = (inputs, LAST_SIDE, LAST_SIDE)
    weight, bias = _weight_and_bias(given, "points", (3 * COUNT, *shape))
    points = graph.convolution(features, weight, bias)
    presence = graph.convolution(features, *_weight_and_bias(given, "presence", (1, *shape)))
    given.finish()
    # Where the head looks, straight from the features: a tenth of the numbers, from points.
    places = grid_of_points()
    grid = (places @ weight.reshape(len(weight), -1)).reshape(-1, *shape).astype(np.float32)
    looked_at = graph.convolution(features, grid, (places @ bias - 1.0).astype(np.float32))
    odds = _visibility(graph, head, looked_at, read)
    return graph, graph.results(points=points, presence=presence, odds=odds)


def _bottleneck(
    graph: Graph,
    given: Parameters,
    name: str,
    features: str,
    channels: tuple[int, int],
    stride: int,
) -> str:
    inputs, outputs = channels
    half = outputs // 2
    if stride == 1:
        kept = features
        narrow = graph.convolution(features, *_pointwise(given, f"{name}.reduce", inputs, half))
    else:
        kept = graph.halved(features)
        values = _weight_and_bias(given, f"{name}.reduce", (half, inputs, 2, 2))
        narrow = graph.convolution(features, *values, stride=2)
    narrow = graph.prelu(narrow, given.take(f"{name}.half_activation.weight", half))
    narrow = graph.depthwise(narrow, given.take(f"{name}.depthwise.weight", half, 1, 3, 3), None)
    new = graph.convolution(narrow, *_pointwise(given, f"{name}.expand", half, outputs))
    new = graph.added(new, graph.more_channels(kept, outputs - inputs))
    return graph.prelu(new, given.take(f"{name}.activation.weight", outputs))


def _visibility(graph: Graph, given: Parameters, places: str, read: list[str]) -> str:
    """Odds (68,) that the landmarks are seen.

    places: (136, 1, 1), where the head looks, x and y, -1 and 1 being the crop's borders. read:
    features of stages, (channels, side, side).
    """
    grid = graph.layer("Reshape", [places], {0: 2, 1: LANDMARKS, 2: 1})
    # Bilinear, the border goes on.
    at = [graph.layer("GridSample", [stage, grid], {0: 1, 1: 2, 2: 0}) for stage in read]
    rows = [graph.layer("Reshape", [one], {0: LANDMARKS, 1: -1}) for one in at]
    features = graph.layer("Concat", rows, {0: 0})
    weight = given.take("features.weight", SEEN_HIDDEN, SEEN_FEATURES)
    usual = given.take("places", LANDMARKS, SEEN_HIDDEN).T
    within = graph.relu(graph.product(weight, features, usual))
    odds = given.take("odds.weight", 1, SEEN_HIDDEN)
    result = graph.product(odds, within, given.take("usual", LANDMARKS)[None])
    given.finish()
    return result


def grid_of_points() -> Float64:
    """(136, 1434): from all points, crop pixels, to where the head looks, x and y, + 1.

    -1 and 1 are the crop's borders. As `SeeingMesh.places` says it.
    """
    definition = ibug_definition()
    places = np.zeros((LANDMARKS, 2, COUNT, 3))
    right, left = EYE_CORNERS
    for axis, other, sign in ((0, 1, -1.0), (1, 0, 1.0)):
        places[:, axis, :, axis] = definition.weights
        along, down = definition.offsets.T
        for corner, way in ((left, 1.0), (right, -1.0)):
            places[:, axis, corner, axis] += way * along
            places[:, axis, corner, other] += sign * way * down
    places[:17] += INWARD * (places[27:36].mean(0) - places[:17])
    return np.asarray(places.reshape(2 * LANDMARKS, 3 * COUNT) * (2.0 / CROP_SIDE))


def mixer_graph(given: Parameters) -> tuple[Graph, dict[str, str], tuple[Float32, ...]]:
    """The blendshape network from the tokens (97, 64) on; its result, and what comes before it.

    `odds`: (1, 52), before the sigmoid. Before: weight (96, 146) and bias (96,) from points to
    tokens, weight (64, 2) and bias (64,) from coordinates to channels, the learnt token (64,).
    """
    before = (
        given.take("points.weight", TOKENS, 146),
        given.take("points.bias", TOKENS),
        given.take("coordinates.weight", CHANNELS, 2),
        given.take("coordinates.bias", CHANNELS),
        given.take("token", CHANNELS),
    )
    graph = Graph()
    tokens = graph.layer("Input", [], name=INPUT)
    for number in range(MIXER_BLOCKS):
        name = f"blocks.{number}"
        last = number == MIXER_BLOCKS - 1
        features = _normed(graph, given, f"{name}.token_norm", tokens)
        count = 1 + TOKENS
        weight = given.take(f"{name}.tokens.widen.weight", WIDE_TOKENS, count)
        bias = given.take(f"{name}.tokens.widen.bias", WIDE_TOKENS)
        features = graph.relu(graph.product(weight, features, bias[:, None]))
        weight = given.take(f"{name}.tokens.narrow.weight", count, WIDE_TOKENS)
        bias = given.take(f"{name}.tokens.narrow.bias", count)
        if last:
            # Of the last block only the learnt token is read.
            tokens, weight, bias = graph.first_row(tokens, CHANNELS), weight[:1], bias[:1]
        tokens = graph.added(tokens, graph.product(weight, features, bias[:, None]))
        features = _normed(graph, given, f"{name}.channel_norm", tokens)
        for layer, (inputs, outputs) in (
            ("widen", (CHANNELS, WIDE_CHANNELS)),
            ("narrow", (WIDE_CHANNELS, CHANNELS)),
        ):
            weight = given.take(f"{name}.channels.{layer}.weight", outputs, inputs)
            bias = given.take(f"{name}.channels.{layer}.bias", outputs)
            features = graph.product_by(features, weight.T, bias)
            features = graph.relu(features) if layer == "widen" else features
        tokens = graph.added(tokens, features)
    weight = given.take("coefficients.weight", len(BLENDSHAPES), CHANNELS)
    odds = graph.product_by(tokens, weight.T, given.take("coefficients.bias", len(BLENDSHAPES)))
    given.finish()
    return graph, graph.results(odds=odds), before


def _normed(graph: Graph, given: Parameters, name: str, tokens: str) -> str:
    result = graph.layer("LayerNorm", [tokens], {0: CHANNELS, 1: EPSILON, 2: 1})
    graph.weights(given.take(f"{name}.weight", CHANNELS), marked=False)
    graph.weights(np.zeros(CHANNELS, np.float32), marked=False)
    return result


def _weight_and_bias(
    given: Parameters, name: str, shape: tuple[int, ...]
) -> tuple[Float32, Float32]:
    return given.take(f"{name}.weight", *shape), given.take(f"{name}.bias", shape[0])


def _pointwise(given: Parameters, name: str, inputs: int, outputs: int) -> tuple[Float32, Float32]:
    """A 1x1 convolution of a parameter that the file has as a matrix (inputs, outputs)."""
    weight = given.take(f"{name}.weight", inputs, outputs)
    return weight.T[:, :, None, None], given.take(f"{name}.bias", outputs)
