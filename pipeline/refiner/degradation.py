"""What light, camera and codec do to a picture, at random."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ..face_view import Image
from ..landmarks.refiner.crops import SIDE

Float32 = npt.NDArray[np.float32]

GRAIN_SIDE = 512


def degraded(crop: Image, rng: np.random.Generator) -> Image:
    """The crop (SIDE, SIDE, 3) uint8 as another camera would have it in another light."""
    picture = _coloured(_lit(crop, rng), rng)
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


def _coloured(crop: Image, rng: np.random.Generator) -> Image:
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
