"""Things pasted before the faces of photographs, for judging only: real hands, boxes, pieces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import Photograph

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]

# Three hands of the Pexels clip: frame -> outline drawn by eye, source pixels, a finger's tip.
HANDS: dict[int, tuple[tuple[tuple[int, int], ...], tuple[int, int]]] = {
    70: (
        (
            *((285, 359), (292, 314), (313, 295), (353, 272), (367, 258), (388, 258), (415, 266)),
            *((442, 276), (455, 289), (452, 298), (434, 295), (409, 289), (409, 303), (413, 326)),
            (420, 359),
        ),
        (430, 290),
    ),
    120: (
        (
            *((323, 359), (323, 330), (338, 287), (365, 241), (400, 186), (420, 172), (431, 175)),
            *((435, 194), (445, 200), (445, 214), (431, 248), (412, 303), (420, 307), (443, 268)),
            *((459, 252), (472, 256), (468, 272), (443, 311), (424, 342), (418, 359)),
        ),
        (440, 180),
    ),
    185: (
        (
            *((300, 359), (310, 300), (323, 253), (334, 211), (345, 201), (355, 205), (361, 230)),
            *((372, 188), (382, 182), (392, 190), (393, 203), (400, 199), (410, 203), (412, 219)),
            *((403, 261), (398, 316), (393, 331), (411, 312), (431, 285), (450, 267), (462, 271)),
            *((455, 285), (434, 308), (415, 339), (401, 359)),
        ),
        (385, 195),
    ),
}
HANDS_IOD = 150.0  # outer eye corners of the face behind them, pixels
# Landmarks about which things are put: the mouth twice as often.
AIMS = ((48, 68), (48, 68), (27, 36), (36, 42), (42, 48), (17, 27), (5, 12))
LARGEST = 170.0  # pixels between the outer eye corners; larger pictures are reduced


@dataclass(frozen=True, eq=False)
class Pasted:
    """picture: (h, w, 3) uint8 RGB. cover: (h, w) float32 in [0, 1], what the thing covers."""

    picture: Image
    cover: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand cut out of a frame: (h, w, 3) uint8 RGB, its mask (h, w) uint8, and two points."""

    picture: Image
    mask: Image
    middle: Floats
    tip: Floats


def reduced(picture: Image, landmarks: Floats) -> tuple[Image, Floats]:
    """A picture whose face is not larger than most, and its landmarks."""
    scale = min(LARGEST / inter_ocular_distance(landmarks), 1.0)
    if scale == 1.0:
        return picture, landmarks
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), (landmarks + 0.5) * scale - 0.5


def read_hands(path: Path) -> list[Hand]:
    """The hands of the Pexels clip."""
    clip = Clip("benchmark", path.stem, path.stem, path.parent, path)
    index, hands = index_frames(clip), []
    for frame, (outline, tip) in HANDS.items():
        picture = next(iter(read_frames(clip, index, frame, frame + 1)))
        if picture is None:
            continue
        mask = np.zeros(picture.shape[:2], np.uint8)
        points = np.array(outline)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
        mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
        hands.append(Hand(picture, np.asarray(mask, np.uint8), points.mean(0), np.array(tip)))
    return hands


def _aim(landmarks: Floats, rng: np.random.Generator) -> Floats:
    first, last = AIMS[int(rng.integers(len(AIMS)))]
    spread = 0.12 * inter_ocular_distance(landmarks)
    return landmarks[first:last].mean(0) + rng.normal(0, spread, 2)


def paste_hand(
    picture: Image, landmarks: Floats, hands: list[Hand], rng: np.random.Generator
) -> Pasted:
    """A hand of about the face's size and mostly about its colour, either way round."""
    hand = hands[int(rng.integers(len(hands)))]
    scale = inter_ocular_distance(landmarks) / HANDS_IOD * rng.uniform(0.75, 1.15)
    angle, mirror = rng.uniform(-0.6, 0.6), 1.0 if rng.random() < 0.5 else -1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([mirror, 1.0])
    anchor = hand.middle + rng.uniform(0.0, 0.8) * (hand.tip - hand.middle)
    move = np.column_stack([linear, _aim(landmarks, rng) - linear @ anchor])
    size = picture.shape[1], picture.shape[0]
    cover = cv2.warpAffine(hand.mask, move, size).astype(np.float32) / 255.0
    x, y = np.clip(np.rint(landmarks[29]).astype(int), 0, np.array(size) - 1)
    tone = (picture[y, x] + 10.0) / (hand.picture[hand.mask > 200].mean(0) + 10.0)
    tone = np.clip(tone, 0.3, 2.5) * rng.uniform(0.8, 1.2)
    if rng.random() < 0.25:
        tone = np.full(3, rng.uniform(0.5, 1.3))
    paint = cv2.warpAffine(hand.picture, move, size) * tone
    return _mixed(picture, np.clip(paint, 0, 255), cover)


def paste_thing(
    picture: Image, landmarks: Floats, other: Photograph, rng: np.random.Generator
) -> Pasted:
    """A box or an ellipse: of one colour, or a piece of another photograph beside its face."""
    unit, aim = inter_ocular_distance(landmarks), _aim(landmarks, rng)
    mask = np.zeros(picture.shape[:2], np.uint8)
    size = tuple(float(side) for side in unit * rng.uniform(0.7, 2.0, 2))
    turned = ((float(aim[0]), float(aim[1])), size, float(rng.uniform(-30, 30)))
    if rng.random() < 0.5:
        cv2.ellipse(mask, turned, 255, -1)
    else:
        cv2.fillPoly(mask, [cv2.boxPoints(turned).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.008 * unit, 0.5))
    paint = np.full_like(picture, rng.integers(0, 256, 3, dtype=np.uint8))
    if rng.random() < 0.6:
        paint = cv2.resize(_beside_face(other), picture.shape[1::-1])
    return _mixed(picture, paint, np.asarray(soft, np.float32) / np.float32(255))


def _beside_face(photograph: Photograph) -> Image:
    """The largest strip of a photograph that does not hold its face."""
    picture, (width, height) = photograph.picture, photograph.size
    margin = 0.4 * inter_ocular_distance(photograph.landmarks)
    left, top = (photograph.landmarks.min(0) - (margin, 2 * margin)).astype(int)
    right, bottom = (photograph.landmarks.max(0) + margin).astype(int)
    strips = [
        picture[:, : max(left, 0)],
        picture[:, min(max(right, 0), width) :],
        picture[: max(top, 0)],
        picture[min(max(bottom, 0), height) :],
    ]
    best = max(strips, key=lambda strip: strip.size)
    return best if min(best.shape[:2]) > 1 else np.zeros((2, 2, 3), np.uint8)


def _mixed(picture: Image, paint: Floats, cover: NDArray[np.float32]) -> Pasted:
    share = cover[..., None]
    return Pasted(np.asarray(picture * (1 - share) + paint * share, np.uint8), cover)
