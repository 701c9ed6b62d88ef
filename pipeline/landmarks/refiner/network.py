"""The refiner's network: from a crop and first landmarks to 68 points and their covariances.

A small residual network with a feature pyramid gives one heat map a landmark at a quarter of the
crop's resolution. To its logits a parabola around the first landmark is added, as steep as was
learned for that landmark: where the picture says nothing, the first landmark stays. The point is
the map's mean, and an offset from the features that the map looks at; from these comes the
covariance too, by its Cholesky factor.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ....fitting.morphable_model.landmark_noise import LandmarkNoise, noise_arrays
from ....fitting.morphable_model.landmark_scheme import COUNT
from ....whole_files import write_whole
from .crops import SIDE, level_of
from .weights import (
    FEATURES,
    FORMAT,
    LARGEST_CORNER,
    LARGEST_DEVIATION,
    LARGEST_OFFSET,
    LEAST_DEVIATION,
    STRIDE,
    WIDTHS,
    RefinerWeights,
)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a straight way."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) -> the same shape."""
        change: Tensor = self.norm(self.second(self.first(features)))
        return functional.relu(features + change)


class Refiner(nn.Module):
    """All of it; at most 3 M parameters."""

    cells: Tensor

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = WIDTHS
        self.stem = nn.Sequential(
            _convolution(3, one, size=5, stride=2),
            _convolution(one, two, stride=2),
            ResidualBlock(two),
        )
        self.middle = nn.Sequential(_convolution(two, three, stride=2), ResidualBlock(three))
        self.deep = nn.Sequential(
            _convolution(three, four, stride=2), ResidualBlock(four), ResidualBlock(four)
        )
        self.from_deep = nn.Conv2d(four, FEATURES, 1)
        self.from_middle = nn.Conv2d(three, FEATURES, 1)
        self.from_stem = nn.Conv2d(two, FEATURES, 1)
        self.mix = nn.Sequential(
            nn.Conv2d(FEATURES, FEATURES, 3, padding=1, groups=FEATURES, bias=False),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
            nn.Conv2d(FEATURES, FEATURES, 1, bias=False),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
        )
        self.heat = nn.Conv2d(FEATURES, COUNT, 1)
        # Logarithm of the parabola's steepness, cells^-2.
        self.steepness = nn.Parameter(torch.full((COUNT,), -4.0))
        self.head = nn.Parameter(torch.zeros(COUNT, FEATURES, 5))
        self.head_bias = nn.Parameter(torch.zeros(COUNT, 5))
        centres = (torch.arange(SIDE // STRIDE) + 0.5) * STRIDE - 0.5
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        cells = torch.stack([columns.ravel(), rows.ravel()], 1)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, crops: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Points and covariances.

        crops: (n, 3, SIDE, SIDE) float32 of `levelled`. first: (n, 68, 2) float32, the crops'
        pixels. Returns points (n, 68, 2), the crops' pixels, and lower Cholesky factors of
        their covariances (n, 68, 2, 2), pixels.
        """
        features = self._features(crops)
        with torch.autocast(crops.device.type, enabled=False):
            return self._points(features.float(), first)

    def _features(self, crops: Tensor) -> Tensor:
        """(n, FEATURES, SIDE / STRIDE, SIDE / STRIDE): what is seen, and what is around it."""
        fine: Tensor = self.stem(crops)
        middle: Tensor = self.middle(fine)
        deep: Tensor = self.deep(middle)
        seen = self.from_middle(middle) + _doubled(self.from_deep(deep))
        mixed: Tensor = self.mix(functional.relu(self.from_stem(fine) + _doubled(seen)))
        return mixed

    def _points(self, features: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        # Cells before landmarks and channels, as the convolutions leave them in memory.
        heat = self.heat(features).permute(0, 2, 3, 1).flatten(1, 2)
        cells = self.cells
        # |cell - first|^2 without |first|^2, which the softmax does not see.
        parabola = (cells * cells).sum(-1)[:, None] - 2.0 * cells @ first.transpose(1, 2)
        look = (heat - self.steepness.exp() / (STRIDE * STRIDE) * parabola).softmax(1)
        look = look.transpose(1, 2)
        seen = look @ features.permute(0, 2, 3, 1).flatten(1, 2)
        numbers = (seen[..., None] * self.head).sum(2) + self.head_bias
        offset = LARGEST_OFFSET * torch.tanh(numbers[..., :2] / LARGEST_OFFSET)
        return look @ cells + offset, _factor(numbers[..., 2:])


def levelled(crops: npt.NDArray[np.uint8]) -> Tensor:
    """Crops (n, SIDE, SIDE, 3) uint8 RGB as the network takes them: (n, 3, SIDE, SIDE) float32.

    Each less its mean, over its deviation: exposure and contrast do not matter.
    """
    pixels = crops.astype(np.float32)
    for crop, picture in zip(crops, pixels, strict=True):
        mean, scale = (np.float32(value) for value in level_of(crop))
        picture *= scale
        picture -= mean * scale
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _factor(numbers: Tensor) -> Tensor:
    """Lower Cholesky factors (..., 2, 2) of three free numbers (..., 3)."""
    deviation = numbers[..., :2].exp().clamp(LEAST_DEVIATION, LARGEST_DEVIATION)
    corner = numbers[..., 2].clamp(-LARGEST_CORNER, LARGEST_CORNER)
    first, second = deviation[..., 0], deviation[..., 1]
    upper = torch.stack([first, torch.zeros_like(first)], -1)
    return torch.stack([upper, torch.stack([corner, second], -1)], -2)


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _convolution(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def write_weights(
    path: Path,
    network: Refiner,
    noise: Mapping[str, LandmarkNoise],
    source: Mapping[str, Any],
) -> None:
    """Write all of a network: float16, but for the norms' statistics, whose range is wide.

    Raises OutputError.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, values in sorted(state_of(network).items()):
        wide = "running_" in name
        arrays[f"network/{name}"] = values.astype(np.float32 if wide else np.float16)
    for backend, errors in sorted(noise.items()):
        arrays |= {f"noise/{backend}/{key}": array for key, array in noise_arrays(errors).items()}
    buffer = io.BytesIO()
    stated = np.array(json.dumps(dict(source), sort_keys=True))
    np.savez_compressed(
        buffer, allow_pickle=False, format=np.int64(FORMAT), source=stated, **arrays
    )
    write_whole(path, buffer.getvalue())


def network_of(weights: RefinerWeights) -> Refiner:
    """The network, set to evaluation."""
    network = Refiner()
    state = {name: torch.from_numpy(array) for name, array in weights.state.items()}
    network.load_state_dict(state, strict=False)  # all but counters, which _check has seen to
    network.eval().requires_grad_(False)
    return network


def state_of(network: Refiner) -> dict[str, npt.NDArray[np.float32]]:
    """The network's parameters and statistics that are kept."""
    state: dict[str, torch.Tensor] = network.state_dict()
    return {k: v.detach().float().numpy() for k, v in state.items() if not k.endswith("_tracked")}
