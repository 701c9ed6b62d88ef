"""Other light, camera, codec, first landmarks, occluders.

Training examples from renders: other proportions, other first landmarks, other light and camera.

Every choice comes from the example's own random generator.

What light, camera and codec do to a picture, at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import MIRROR, REGIONS
from ...images.crops import Image
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


Float32 = npt.NDArray[np.float32]

GRAIN_SIDE = 512


def degraded(crop: Image, rng: np.random.Generator) -> Image:
    """The crop (SIDE, SIDE, 3) uint8 as another camera would have it in another light."""
    picture = coloured(_lit(crop, rng), rng)
    out = _noisy(_blurred(picture, rng), rng)
    if rng.random() < 0.25:
        quality = int(rng.integers(15, 75))
        encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return out


def _lit(crop: Image, rng: np.random.Generator) -> Image:
    """Soft light and shade, the edge of a shadow, and skin that is not so smooth."""
    light: Float32 | None = None
    if rng.random() < 0.5:
        coarse = rng.normal(0.0, rng.uniform(0.1, 0.45), (4, 4)).astype(np.float32)
        light = np.exp(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    if rng.random() < 0.15:
        shade = _shadow(rng)
        light = shade if light is None else light * shade
    if rng.random() < 0.4:
        cells = int(rng.integers(10, 50))
        skin = rng.normal(1.0, rng.uniform(0.01, 0.06), (cells, cells)).astype(np.float32)
        rough = np.asarray(cv2.resize(skin, (SIDE, SIDE)), np.float32)
        light = rough if light is None else light * rough
    if light is None:
        return crop
    return np.asarray(cv2.multiply(crop, cv2.merge([light] * 3), dtype=cv2.CV_8U), np.uint8)


def _shadow(rng: np.random.Generator) -> Float32:
    """Light (SIDE, SIDE) on both sides of a shadow's edge."""
    angle = rng.uniform(0.0, 2 * np.pi)
    along = np.arange(SIDE, dtype=np.float32) - SIDE * rng.uniform(0.3, 0.7)
    across = along * np.cos(angle) + along[:, None] * np.sin(angle)
    across = np.clip(across / rng.uniform(0.7, 6.0), -20.0, 20.0)
    return np.asarray(1.0 - rng.uniform(0.2, 0.65) / (1.0 + np.exp(-across)), np.float32)


def coloured(crop: Image, rng: np.random.Generator) -> Image:
    """Another white balance, saturation, contrast and tone curve; now and then grey."""
    saturation = 0.0 if rng.random() < 0.2 else rng.uniform(0.2, 1.6)
    mix = np.full((3, 3), (1.0 - saturation) / 3.0) + saturation * np.eye(3)
    mixed = cv2.transform(crop, mix.astype(np.float32))
    gain = np.exp(rng.normal(0.0, 0.22) + rng.normal(0.0, 0.08, 3))
    curve = np.clip(np.arange(256)[:, None] * gain / 255.0, 0.0, 1.3)
    curve = curve ** np.exp(rng.normal(0.0, 0.25)) + rng.normal(0.0, 0.05)
    table = np.clip(255.0 * curve, 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.LUT(mixed, table[None]), np.uint8)


def _blurred(crop: Image, rng: np.random.Generator) -> Image:
    """Out of focus, moved, or of few pixels."""
    kind = rng.random()
    if kind < 0.35:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 1.6)), np.uint8)
    if kind < 0.45:
        size = int(rng.choice([3, 5, 7]))
        kernel = np.zeros((size, size), np.float32)
        dx, dy = rng.integers(-(size // 2), size // 2 + 1, 2)
        middle = size // 2
        ends = (middle - int(dx), middle - int(dy)), (middle + int(dx), middle + int(dy))
        cv2.line(kernel, *ends, 1.0)
        return np.asarray(cv2.filter2D(crop, -1, kernel / kernel.sum()), np.uint8)
    if kind < 0.65:
        size = int(rng.integers(36, 96))
        small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        how = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=how), np.uint8)
    return crop


def _noisy(crop: Image, rng: np.random.Generator) -> Image:
    """Noise of the sensor, in colour or grey, fine or as codecs leave it."""
    if rng.random() < 0.35:
        return crop
    y, x = rng.integers(0, GRAIN_SIDE - SIDE, 2)
    grain = _grain(bool(rng.random() < 0.5), bool(rng.random() < 0.6))
    part = grain[y : y + SIDE, x : x + SIDE]
    noisy = cv2.scaleAdd(part, rng.uniform(0.5, 9.0), crop.astype(np.float32))
    return np.asarray(np.clip(noisy, 0.0, 255.0), np.uint8)


@lru_cache(maxsize=4)
def _grain(coloured: bool, fine: bool) -> Float32:
    """Noise of unit variance (GRAIN_SIDE, GRAIN_SIDE, 3); an example takes a random window."""
    rng = np.random.default_rng([int(coloured), int(fine)])
    shape = (GRAIN_SIDE, GRAIN_SIDE, 3 if coloured else 1)
    noise = rng.standard_normal(shape, np.float32)
    if not fine:
        soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), np.float32).reshape(shape)
        noise = soft / np.float32(soft.std())
    return np.ascontiguousarray(np.broadcast_to(noise, (GRAIN_SIDE, GRAIN_SIDE, 3)))
