"""Training examples from renders: other proportions, other first landmarks, other light and camera.

Every choice comes from the example's own random generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import MIRROR, REGIONS
from ...face_view import Image
from ...refiner.degradation import degraded
from .crops import BORDER_GREY, SIDE, crop_transform, to_crop
from .occluders import occluded, show_mouth
from .renders import Renders

Floats = npt.NDArray[np.float64]

# Of the first landmarks: a backend's own, else the truth with random errors.
OF_BACKENDS = 0.7
# Random errors in inter-ocular distances: of the whole face, of a region, of a point.
WHOLE, REGION, POINT = 0.03, 0.025, 0.012
# What is laid over a backend's own errors.
SLIGHT = 0.3
STRETCHED, WARPED, JOGGED, MIRRORED = 0.6, 0.35, 0.6, 0.5
CLEAN = 0.2  # share of the examples that stay as they were rendered
WARP_CELLS, WARP_PIXELS = 5, 1.6

# For each landmark its region; and the matrix (regions, 68) that takes points to regions' middles.
_REGION_OF = np.concatenate([np.full(len(r), i) for i, r in enumerate(REGIONS.values())])
_MEANS = np.stack([(i == _REGION_OF) / len(r) for i, r in enumerate(REGIONS.values())])


@dataclass(frozen=True, eq=False)
class Example:
    """crop: (SIDE, SIDE, 3) uint8 RGB. first, truth: (68, 2) float32, its pixels."""

    crop: Image
    first: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32]


def example(
    renders: Renders, index: int, rng: np.random.Generator, *, mouths: bool = True
) -> Example:
    """A random example of the render `index`; mouths: with what an open mouth may show."""
    encoded = np.frombuffer(renders.jpegs[index], np.uint8)
    image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)
    truth = renders.truth[index].astype(np.float64)
    first = _first(renders, index, truth, rng)
    transform = _disturbed(crop_transform(first), rng)
    points = to_crop(np.stack([truth, first]), transform)
    edge = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    grey = (BORDER_GREY,) * 3
    if rng.random() < WARPED:
        crop, points = _warped(image, transform, points, edge, rng)
    else:
        crop = np.asarray(
            cv2.warpAffine(image, transform, (SIDE, SIDE), borderMode=edge, borderValue=grey),
            np.uint8,
        )
    if rng.random() < MIRRORED:
        crop = np.ascontiguousarray(crop[:, ::-1])
        points = points[:, MIRROR]
        points[..., 0] = SIDE - 1 - points[..., 0]
    if mouths:
        crop = show_mouth(crop, points[0], rng)
    if rng.random() >= CLEAN:
        crop = degraded(occluded(crop, points[0], rng), rng)
    true, near = points.astype(np.float32)
    return Example(crop, near, true)


def _first(renders: Renders, index: int, truth: Floats, rng: np.random.Generator) -> Floats:
    """First landmarks (68, 2) in the stored picture."""
    names = sorted(renders.first)
    scale = float(np.linalg.norm(truth[45] - truth[36]))
    if names and rng.random() < OF_BACKENDS:
        found = renders.first[names[int(rng.integers(len(names)))]][index].astype(np.float64)
        if np.isfinite(found).all():
            return _with_errors(found, SLIGHT * scale, rng)
    return _with_errors(truth, scale * rng.uniform(0.3, 1.5), rng)


def _with_errors(points: Floats, scale: float, rng: np.random.Generator) -> Floats:
    """Points with errors that are alike in a region: lids that stay open, a mouth off its place."""
    out = points + scale * (rng.normal(0.0, WHOLE, 2) + rng.normal(0.0, POINT, (68, 2)))
    regions = len(REGIONS)
    middle = (_MEANS @ out)[_REGION_OF]
    size = rng.normal(1.0, 2.0 * REGION, (regions, 2))[_REGION_OF]
    shift = rng.normal(0.0, REGION, (regions, 2))[_REGION_OF]
    return np.asarray(middle + (out - middle) * size + scale * shift)


def _disturbed(transform: Floats, rng: np.random.Generator) -> Floats:
    """The transform (2, 3) jogged, and the face stretched to other proportions."""
    change = np.eye(2)
    shift = np.zeros(2)
    if rng.random() < JOGGED:
        angle, size = rng.normal(0.0, (0.06, 0.04))
        cos, sin = np.exp(size) * np.cos(angle), np.exp(size) * np.sin(angle)
        change = np.array([[cos, -sin], [sin, cos]])
        shift = rng.normal(0.0, 0.02 * SIDE, 2)
    if rng.random() < STRETCHED:
        width, height, shear = rng.normal(0.0, (0.06, 0.06, 0.04))
        change = change @ np.array([[np.exp(width), shear], [0.0, np.exp(height)]])
    middle = np.full(2, (SIDE - 1) / 2.0)
    linear = change @ transform[:, :2]
    place = change @ (transform[:, 2] - middle) + middle + shift
    return np.column_stack([linear, place])


def _warped(
    image: Image, transform: Floats, points: Floats, edge: int, rng: np.random.Generator
) -> tuple[Image, Floats]:
    """The crop under a smooth random warp, and its points (..., 2) with it."""
    coarse = rng.normal(0.0, WARP_PIXELS, (WARP_CELLS, WARP_CELLS, 2)).astype(np.float32)
    field = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)
    # The crop shows at p what lies at p + field(p) of the unwarped one.
    back = np.linalg.inv(transform[:, :2])
    source = ((grid + field - transform[:, 2]) @ back.T).astype(np.float32)
    crop = cv2.remap(
        image,
        source[..., 0],
        source[..., 1],
        cv2.INTER_LINEAR,
        borderMode=edge,
        borderValue=(BORDER_GREY,) * 3,
    )
    moved = points.copy()
    for _ in range(4):
        x, y = moved.reshape(-1, 1, 2).astype(np.float32).transpose(2, 0, 1)
        there = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved = points - there.reshape(points.shape)
    return np.asarray(crop, np.uint8), moved
