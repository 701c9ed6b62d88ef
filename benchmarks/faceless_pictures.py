"""Pictures in which no face is: drawn by rules, and photographs with their face painted over."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import Photograph

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]


def landscape(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A sky, some ranges of hills one before the other, and a grained ground."""
    width, height = size
    down = np.linspace(0, 1, height)[:, None, None]
    sky = np.array([rng.uniform(90, 170), rng.uniform(140, 200), rng.uniform(190, 250)])
    picture = sky + down * (235 - sky) + np.zeros((height, width, 3))
    for hills in np.sort(rng.uniform(0.3, 0.8, 4)):
        ridge = np.cumsum(rng.normal(0, 1, width))
        ridge = cv2.GaussianBlur(ridge[None], (0, 0), width / 200)[0]
        ridge = hills * height + 0.12 * height * ridge / max(np.abs(ridge).max(), 1)
        under = np.arange(height)[:, None] > ridge
        colour = rng.uniform(30, 150, 3) * (1.2 - hills)
        grain = cv2.resize(rng.normal(0, 14, (height // 3, width // 3, 3)), (width, height))
        picture[under] = (colour + grain)[under]
    return np.clip(picture, 0, 255).astype(np.uint8)


def clouds(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Noise of all scales, as much of each: bark, stone, clouds."""
    width, height = size
    picture = np.zeros((height, width, 3))
    cells = 2
    while cells < min(size) // 2:
        noise = rng.normal(0, 1, (cells, max(cells * width // height, 2), 3))
        picture += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
        cells *= 2
    return np.clip(128 + 25 * picture, 0, 255).astype(np.uint8)


def noise(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Pixels that have nothing to do with each other."""
    return rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def circles(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Discs and rings of all sizes on skin-like colours: pairs of them can look like eyes."""
    picture = np.full((size[1], size[0], 3), rng.uniform([150, 100, 70], [240, 200, 170]))
    for _ in range(600):
        centre = tuple(int(v) for v in rng.integers(0, size))
        radius = int(np.exp(rng.uniform(np.log(3), np.log(120))))
        thick = -1 if rng.random() < 0.6 else max(radius // 4, 1)
        cv2.circle(picture, centre, radius, rng.uniform(0, 255, 3).tolist(), thick, cv2.LINE_AA)
    return np.clip(picture, 0, 255).astype(np.uint8)


def houses(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Walls with windows, doors and writing: rectangles in rows, as faces of buildings are."""
    width, height = size
    picture = np.full((height, width, 3), rng.integers(120, 220, 3), np.uint8)
    left = 0
    while left < width:
        wide = int(rng.integers(150, 420))
        top = int(rng.integers(0, height // 2))
        picture[top:, left : left + wide] = rng.integers(60, 230, 3)
        pane = int(rng.integers(14, 60))
        for y in range(top + pane, height - pane, 2 * pane):
            for x in range(left + pane // 2, left + wide - pane, int(1.7 * pane)):
                shade = rng.uniform(10, 120, 3).tolist()
                cv2.rectangle(picture, (x, y), (x + pane, y + int(1.3 * pane)), shade, -1)
        text = "".join(chr(c) for c in rng.integers(65, 91, 9))
        where = (left + 10, min(top + pane, height - 5))
        cv2.putText(picture, text, where, cv2.FONT_HERSHEY_DUPLEX, pane / 30, (20, 20, 20), 2)
        left += wide
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


KINDS = {
    "landscape": landscape,
    "clouds": clouds,
    "houses": houses,
    "circles": circles,
    "noise": noise,
}


def background(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A picture (h, w, 3) uint8 of a kind of `KINDS`. size: (width, height)."""
    return KINDS[kind](size, rng)


def without_face(photograph: Photograph) -> Picture:
    """A photograph whose face is blurred until nothing of it is left but its colour."""
    points = photograph.landmarks
    distance = float(inter_ocular_distance(points))
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, 0.8 * (high - low)
    mask = np.zeros(photograph.picture.shape[:2], np.float32)
    centre = (round(middle[0]), round(middle[1] - 0.2 * half[1]))
    axes = (round(1.1 * half[0]), round(1.2 * half[1]))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), distance / 12)[..., None]
    blurred = cv2.GaussianBlur(photograph.picture, (0, 0), distance)
    mixed = mask * blurred + (1 - mask) * photograph.picture
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)
