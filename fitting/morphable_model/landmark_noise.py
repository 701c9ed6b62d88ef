"""How a detector's landmarks err: bias and covariance, of all faces and by yaw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .landmark_scheme import COUNT

# Names of the arrays of a YawNoise in files, beside "bias" and "covariance".
BY_YAW = ("yaw_limits", "yaw_bias", "yaw_covariance")


@dataclass(frozen=True, eq=False)
class YawNoise:
    """How a detector errs on faces of each of b ranges of yaw, as LandmarkNoise describes it.

    Attributes
    ----------
    limits : (b - 1,) float32, radians, ascending, between the ranges; a face turned to the person's
        left has a positive yaw, measured as `initial_pose.yaw_of` does
    bias : (b, 68, 2) float32, inter-ocular distances
    covariance : (b, 136, 136) float32, squared inter-ocular distances
    """

    limits: NDArray[np.float32]
    bias: NDArray[np.float32]
    covariance: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LandmarkNoise:
    """How a detector's landmarks differ from the model's points of the same set, on renders.

    In the face-aligned frame (x along the line of the outer eye corners to the person's left, y
    down the face), in inter-ocular distances. Of left and right the mean, mirrored.

    Attributes
    ----------
    bias : (68, 2) float32, detected minus true on average, inter-ocular distances
    covariance : (136, 136) float32, of what remains, squared inter-ocular distances; x and y of a
        landmark stand beside each other
    by_yaw : the same for ranges of yaw, where it is known; a fit then takes it instead
    """

    bias: NDArray[np.float32]
    covariance: NDArray[np.float32]
    by_yaw: YawNoise | None = None


def yaw_ranges(noise: LandmarkNoise) -> YawNoise:
    """The noise by yaw; where there is none, one range of all faces.

    Parameters
    ----------
    noise : of a landmark set

    Returns
    -------
    YawNoise

    Raises
    ------
    UsageError
        its arrays have other shapes
    """
    found = noise.by_yaw
    if found is None:
        whole = np.asarray(noise.bias)[None], np.asarray(noise.covariance)[None]
        found = YawNoise(np.empty(0, np.float32), *whole)
    shapes = found.limits.shape, found.bias.shape, found.covariance.shape
    expected = _shapes_by_yaw(len(found.bias))
    if shapes != expected:
        raise UsageError(
            f"noise: limits, bias and covariance of shapes {', '.join(map(str, shapes))}, "
            f"expected {', '.join(map(str, expected))}"
        )
    return found


def noise_arrays(noise: LandmarkNoise) -> dict[str, NDArray[np.float32]]:
    """The arrays of a noise by the names that they have in files.

    Parameters
    ----------
    noise : of a landmark set

    Returns
    -------
    dict
        name -> float32 array
    """
    arrays = {"bias": noise.bias, "covariance": noise.covariance}
    if noise.by_yaw is not None:
        of = noise.by_yaw
        arrays |= dict(zip(BY_YAW, (of.limits, of.bias, of.covariance), strict=True))
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def arrays_by_detector(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Find the arrays of noise, `noise/DETECTOR/NAME`, among those of a file.

    Parameters
    ----------
    arrays : by their path in the file

    Returns
    -------
    dict
        detector -> name -> array
    """
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        group, _, rest = key.partition("/")
        if group == "noise":
            detector, _, name = rest.partition("/")
            found.setdefault(detector, {})[name] = array
    return found


def noise_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> LandmarkNoise:
    """Make a noise of what `noise_arrays` gave.

    Parameters
    ----------
    arrays : by the names that they have in files

    Returns
    -------
    LandmarkNoise

    Raises
    ------
    KeyError
        an array is missing
    """
    found = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    by_yaw = None
    if any(name in found for name in BY_YAW):
        by_yaw = YawNoise(*(found[name] for name in BY_YAW))
    return LandmarkNoise(found["bias"], found["covariance"], by_yaw)


def expected_shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    """The shapes that the arrays of a noise must have.

    Parameters
    ----------
    arrays : by the names that they have in files; ``yaw_limits`` tells the number of ranges

    Returns
    -------
    dict
        name -> shape
    """
    shapes: dict[str, tuple[int, ...]] = {
        "bias": (COUNT, 2),
        "covariance": (2 * COUNT, 2 * COUNT),
    }
    if "yaw_limits" in arrays:
        by_yaw = _shapes_by_yaw(arrays["yaw_limits"].size + 1)
        shapes |= dict(zip(BY_YAW, by_yaw, strict=True))
    return shapes


def _shapes_by_yaw(ranges: int) -> tuple[tuple[int, ...], ...]:
    """Of limits, bias and covariance."""
    return (ranges - 1,), (ranges, COUNT, 2), (ranges, 2 * COUNT, 2 * COUNT)
