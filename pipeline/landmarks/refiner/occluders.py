"""What lies over a face or grows on it: spectacles, beards, strands of hair, hands, things."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ....fitting.morphable_model.landmark_scheme import REGIONS
from ...images.crops import Image
from .crops import SIDE

Floats = npt.NDArray[np.float64]

SPECTACLES, BEARD, STRANDS, THINGS = 0.15, 0.15, 0.15, 0.18
LEAST_GAP, SHOWN = 1.5, 0.5  # pixels between the lips; share of open mouths that are painted
_FINE = 16  # of cv2's fixed-point coordinates: 4 bits


def occluded(crop: Image, landmarks: Floats, rng: np.random.Generator) -> Image:
    """The crop (SIDE, SIDE, 3) with none, one or several of them; landmarks: (68, 2), its own."""
    if rng.random() < BEARD:
        crop = _bearded(crop, landmarks, rng)
    if rng.random() < STRANDS:
        _strands(crop, landmarks, rng)
    if rng.random() < SPECTACLES:
        crop = _spectacled(crop, landmarks, rng)
    if rng.random() < THINGS:
        crop = _thing(crop, rng)
    return crop


def show_mouth(crop: Image, landmarks: Floats, rng: np.random.Generator) -> Image:
    """The crop with teeth, a tongue or darkness between its lips, where they are open.

    A render's mouth is deep and dark; a grin shows bright teeth from lip to lip, and where the
    rows meet there is an edge that is no lip's.
    """
    inner = landmarks[60:68]
    gap = float(np.linalg.norm(inner[5:8] - inner[1:4][::-1], axis=1).mean())
    if gap < LEAST_GAP or rng.random() > SHOWN:
        return crop
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.rint(inner * _FINE).astype(np.int32)], 255, cv2.LINE_AA, 4)
    paint = np.empty((SIDE, SIDE, 3), np.uint8)
    kind = rng.random()
    if kind < 0.25:
        paint[:] = np.clip(rng.uniform(0, 60) * rng.uniform((1, 0.5, 0.5), (1.6, 1, 1)), 0, 255)
    else:
        _teeth(paint, inner, gap, rng)
    cover = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 0.9))[..., None] / 255.0
    cover = cover * rng.uniform(0.6, 1.0)
    return np.asarray(crop * (1.0 - cover) + paint * cover, np.uint8)


def _teeth(paint: Image, inner: Floats, gap: float, rng: np.random.Generator) -> None:
    """Two rows of teeth, or one over a dark mouth or a tongue, drawn into `paint`."""
    white = rng.uniform(110, 250) * rng.uniform((0.95, 0.9, 0.75), (1.0, 1.0, 1.0))
    paint[:] = white
    left, right = inner[0], inner[4]
    along = right - left
    down = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    upper, lower = inner[1:4].mean(0), inner[5:8].mean(0)
    meet = upper + rng.uniform(0.25, 1.1) * (lower - upper)
    dark = tuple(float(c) for c in white * rng.uniform(0.2, 0.8))
    for place in np.linspace(-0.5, 0.5, int(rng.integers(7, 13))):
        middle = meet + place * along
        _line(paint, np.stack([middle - gap * down, middle + gap * down]), dark, 1, closed=False)
    ends = np.stack([meet - 0.6 * along, meet + 0.6 * along])
    if rng.random() < 0.6:
        _line(paint, ends, dark, int(rng.integers(1, 3)), closed=False)
        return
    below = np.concatenate([ends, (ends + 40.0 * down)[::-1]])
    tongue = rng.uniform((30, 10, 10), (190, 110, 110))
    cv2.fillPoly(paint, [np.rint(below).astype(np.int32)], tuple(float(c) for c in tongue))


def _bearded(crop: Image, landmarks: Floats, rng: np.random.Generator) -> Image:
    """Hair around the mouth: a moustache, a beard on the chin, or both."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    nose, lips = landmarks[31:36].mean(0), landmarks[48:60]
    kind = rng.random()
    if kind < 0.7:
        upper = np.concatenate([lips[:7], (0.35 * lips[:7] + 0.65 * nose)[::-1]])
        cv2.fillPoly(mask, [np.rint(upper).astype(np.int32)], 255)
    if kind > 0.35:
        chin = np.concatenate([landmarks[3:14], lips[6:12], lips[:1]])
        cv2.fillPoly(mask, [np.rint(chin).astype(np.int32)], 255)
        inner = 0.95 * (lips - lips.mean(0)) + lips.mean(0)
        cv2.fillPoly(mask, [np.rint(inner).astype(np.int32)], 0)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.6, 2.5)).astype(np.float32) / 255.0
    hairs = rng.uniform(0.3, 1.0, (SIDE, SIDE)).astype(np.float32)
    cover = (soft * hairs * rng.uniform(0.3, 1.0))[..., None]
    colour = _hair_colour(rng)
    return np.asarray(crop * (1.0 - cover) + colour * cover, np.uint8)


def _hair_colour(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    tone = rng.uniform(10, 130)
    return np.asarray(tone * rng.uniform((0.9, 0.7, 0.5), (1.2, 1.0, 0.95)), np.float32)


def _strands(crop: Image, landmarks: Floats, rng: np.random.Generator) -> None:
    """A few strands of hair over forehead and brows, drawn into the crop."""
    top = landmarks[17:27].mean(0)
    colour = tuple(float(c) for c in _hair_colour(rng))
    root = np.array([rng.uniform(0.1, 0.9) * SIDE, -4.0])
    for _ in range(int(rng.integers(3, 25))):
        start = root + rng.normal(0.0, (10.0, 2.0))
        end = top + rng.normal(0.0, (22.0, 9.0))
        bend = 0.5 * (start + end) + rng.normal(0.0, 8.0, 2)
        t = np.linspace(0.0, 1.0, 8)[:, None]
        path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        _line(crop, path, colour, int(rng.integers(1, 3)), closed=False)


def _spectacled(crop: Image, landmarks: Floats, rng: np.random.Generator) -> Image:
    """Spectacles: rims, bridge and temples; now and then tinted or with a reflection."""
    drawn = crop.copy()
    tone = rng.uniform(0, 90) if rng.random() < 0.7 else rng.uniform(90, 255)
    colour = tuple(float(c) for c in np.clip(tone + rng.normal(0, 15, 3), 0, 255))
    width = int(rng.integers(1, 4))
    centres = [landmarks[list(REGIONS[eye])].mean(0) for eye in ("right_eye", "left_eye")]
    apart = float(np.linalg.norm(centres[1] - centres[0]))
    axes = apart * rng.uniform((0.33, 0.22), (0.44, 0.36))
    corner = rng.uniform(0.4, 1.0)
    along = (centres[1] - centres[0]) / max(apart, 1e-6)
    down = np.array([-along[1], along[0]])
    drop = apart * rng.uniform(-0.03, 0.1) * down
    t = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
    # A superellipse: from nearly a rectangle to an ellipse.
    x, y = (np.sign(f) * np.abs(f) ** corner for f in (np.cos(t), np.sin(t)))
    glass = np.zeros((SIDE, SIDE), np.uint8)
    for centre in centres:
        rim = centre + drop + axes[0] * x[:, None] * along + axes[1] * y[:, None] * down
        _line(drawn, rim, colour, width, closed=True)
        cv2.fillPoly(glass, [np.rint(rim).astype(np.int32)], 255)
    inner = [centres[0] + drop + axes[0] * along, centres[1] + drop - axes[0] * along]
    _line(drawn, np.stack(inner), colour, width, closed=False)
    for centre, sign, ear in ((centres[0], -1, landmarks[0]), (centres[1], 1, landmarks[16])):
        ends = np.stack([centre + drop + sign * axes[0] * along, ear])
        _line(drawn, ends, colour, width, closed=False)
    if rng.random() < 0.4:
        share = rng.uniform(0.05, 0.35) * (glass[..., None] / 255.0)
        drawn = np.asarray(drawn * (1 - share) + rng.uniform(0, 255, 3) * share, np.uint8)
    return drawn


def _thing(crop: Image, rng: np.random.Generator) -> Image:
    """One thing of any colour before the face: a hand, a cup, a cloth."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    centre = rng.uniform(-0.05, 1.05, 2) * SIDE
    count = int(rng.integers(5, 10))
    angles = np.sort(rng.uniform(0.0, 2 * np.pi, count))
    radii = SIDE * rng.uniform(0.05, 0.28) * rng.uniform(0.5, 1.4, count)
    outline = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.5)).astype(np.float32) / 255.0
    colour = rng.uniform(0, 255, 3) if rng.random() < 0.5 else crop[SIDE // 2, SIDE // 2]
    texture = np.asarray(colour, np.float32) + rng.normal(0, rng.uniform(0, 25), (7, 7, 3))
    paint = cv2.resize(texture.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    cover = soft[..., None]
    mixed = np.clip(crop * (1.0 - cover) + paint * cover, 0, 255)
    return np.asarray(mixed, np.uint8)


def _line(
    image: Image, path: Floats, colour: tuple[float, ...], width: int, *, closed: bool
) -> None:
    points = [np.rint(path * _FINE).astype(np.int32).reshape(-1, 1, 2)]
    cv2.polylines(image, points, closed, colour, width, cv2.LINE_AA, 4)
