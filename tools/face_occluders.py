"""Things before a face, drawn at random for training: hands, masks, hair, glasses, cups, anything.

Each takes a picture with the landmarks of its face and gives the picture with the thing on it and
what the thing covers. Sizes are in inter-ocular distances. Clear spectacles, beards and loose
strands are drawn too, and cover nothing: what lies under them is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Cover = npt.NDArray[np.float32]

_FINE = 16  # of cv2's fixed-point coordinates: 4 bits
# Points in the middle of what is hidden on purpose: lids, brows, nose, mouth, chin.
_AIMS = ((36, 42), (42, 48), (17, 22), (22, 27), (27, 36), (48, 68), (48, 68), (6, 11), (0, 17))


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture with a face.

    Attributes
    ----------
    picture : (h, w, 3) uint8, RGB
    landmarks : (68, 2) float64, pixels
    other : (k, k, 3) uint8, another picture, whose content may lie before the face
    rng : of all choices
    """

    picture: Image
    landmarks: Floats
    other: Image
    rng: np.random.Generator

    @property
    def unit(self) -> float:
        """Inter-ocular distance, pixels."""
        return float(inter_ocular_distance(self.landmarks))

    def aim(self) -> Floats:
        """A point (2,) somewhere in the face."""
        first, last = _AIMS[int(self.rng.integers(len(_AIMS)))]
        return self.landmarks[first:last].mean(0) + self.rng.normal(0.0, 0.2 * self.unit, 2)

    def skin(self) -> Floats:
        """The colour (3,) of the face's skin, or nearly."""
        x, y = np.rint(self.landmarks[29] + self.rng.normal(0.0, 0.1 * self.unit, 2)).astype(int)
        height, width = self.picture.shape[:2]
        x, y = int(np.clip(x, 2, width - 3)), int(np.clip(y, 2, height - 3))
        return np.asarray(self.picture[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1)), np.float64)


def occlude(scene: Scene) -> tuple[Image, Cover]:
    """The picture with a thing before the face, and what it covers (h, w) float32 in [0, 1]."""
    kinds: tuple[tuple[float, Callable[[Scene], tuple[Floats, Cover]]], ...] = (
        (0.34, _hand),
        (0.12, _mask),
        (0.12, _hair),
        (0.08, _dark_glasses),
        (0.08, _stick),
        (0.20, _thing),
        (0.06, _pixels),
    )
    shares = np.cumsum([share for share, _ in kinds])
    paint, cover = kinds[int(np.searchsorted(shares, scene.rng.random() * shares[-1]))][1](scene)
    soft = cover[..., None].astype(np.float64)
    mixed = scene.picture * (1.0 - soft) + paint * soft
    return np.clip(mixed, 0, 255).astype(np.uint8), cover


def adorn(scene: Scene) -> Image:
    """The picture with what hides nothing, now and then: spectacles, a beard, strands of hair."""
    picture, rng = scene.picture.copy(), scene.rng
    if rng.random() < 0.25:
        picture = _bearded(scene)
    if rng.random() < 0.25:
        _spectacles(picture, scene)
    if rng.random() < 0.2:
        _strands(picture, scene, int(rng.integers(2, 12)), scene.aim())
    if rng.random() < 0.3:
        picture = _made_up(picture, scene)
    return picture


def _polygon(shape: tuple[int, ...], outline: Floats, soft: float) -> Cover:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * _FINE).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(soft, 0.3)) / np.float32(255), np.float32)


def _noise(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit size, (h, w, 1)."""
    coarse = rng.normal(0.0, 1.0, (cells, cells)).astype(np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine[..., None], np.float64)


def _texture(scene: Scene, colour: Floats) -> Floats:
    """Paint (h, w, 3): a colour with light, shade, grain and perhaps a pattern."""
    rng, shape = scene.rng, scene.picture.shape
    paint = np.tile(colour, (*shape[:2], 1)).astype(np.float64)
    paint *= np.exp(rng.uniform(0.0, 0.3) * _noise(shape, int(rng.integers(2, 6)), rng))
    if rng.random() < 0.6:
        paint += rng.uniform(0.0, 14.0) * _noise(shape, int(rng.integers(12, 90)), rng)
    if rng.random() < 0.3:
        y, x = np.mgrid[: shape[0], : shape[1]]
        angle, period = rng.uniform(0, np.pi), scene.unit * rng.uniform(0.06, 0.6)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        if rng.random() < 0.5:
            wave = np.sign(wave)
        paint += rng.uniform(-50, 50, 3) * wave[..., None]
    return paint


def _colour(rng: np.random.Generator) -> Floats:
    kind = rng.random()
    if kind < 0.4:
        return np.asarray(rng.uniform(0, 255, 3), np.float64)
    return np.asarray(np.clip(rng.uniform(0, 255) + rng.normal(0, 14, 3), 0, 255), np.float64)


def _hand(scene: Scene) -> tuple[Floats, Cover]:
    """A palm and fingers, each darker towards its edges, with creases and nails."""
    rng, unit, shape = scene.rng, scene.unit, scene.picture.shape
    tip = scene.aim()
    from_below = rng.normal(0.5 * np.pi, 0.9)
    toward = np.array([np.cos(from_below), np.sin(from_below)])  # from the tips to the wrist
    across = np.array([-toward[1], toward[0]])
    size = unit * rng.uniform(0.75, 1.25)
    skin = scene.skin() if rng.random() < 0.75 else rng.uniform(40, 230) * np.array([1, 0.78, 0.66])
    skin = np.clip(skin * rng.uniform(0.75, 1.3) * rng.normal(1.0, 0.04, 3), 8, 250)
    paint = np.tile(skin, (*shape[:2], 1)).astype(np.float64)
    cover = np.zeros(shape[:2], np.float32)
    knuckles = tip + size * rng.uniform(0.5, 1.1) * toward
    outline = [knuckles + size * (a * across + b * toward) for a, b in _palm(rng)]
    cover = np.maximum(cover, _polygon(shape, np.array(outline), 1.0))
    paint *= np.exp(0.2 * _noise(shape, 4, rng))
    fingers = int(rng.integers(2, 5)) + (rng.random() < 0.6)
    spread, bent = rng.uniform(0.0, 0.35), rng.random() < 0.3
    for number in np.linspace(-1.0, 1.0, fingers):
        base = knuckles + 0.42 * size * number * across + rng.normal(0, 0.04 * size, 2)
        turn = spread * number + rng.normal(0, 0.06)
        way = -toward * np.cos(turn) + across * np.sin(turn)
        length = size * (rng.uniform(0.25, 0.5) if bent else rng.uniform(0.75, 1.15))
        _finger(paint, cover, base, base + length * way, 0.24 * size * rng.uniform(0.8, 1.15), rng)
    paint += rng.uniform(1.0, 6.0) * _noise(shape, 70, rng)
    return paint, cover


def _palm(rng: np.random.Generator) -> Floats:
    """Its outline (k, 2): across the hand, and from the knuckles to the wrist."""
    side, length = rng.uniform(0.5, 0.62), rng.uniform(0.9, 1.6)
    arm = side * rng.uniform(0.55, 0.8)
    return np.array(
        [
            *((-side, -0.1), (0.0, -0.2), (side, -0.1), (side * 1.05, 0.4 * length)),
            *((arm, length), (arm, length + 4), (-arm, length + 4), (-arm, length)),
            (-side * 1.05, 0.4 * length),
        ]
    )


def _finger(
    paint: Floats,
    cover: Cover,
    base: Floats,
    tip: Floats,
    width: float,
    rng: np.random.Generator,
) -> None:
    """One finger, drawn into paint and cover: a round-ended bar, shaded as a cylinder is."""
    height, wide = cover.shape
    y, x = np.mgrid[:height, :wide]
    along = tip - base
    length = max(float(np.hypot(*along)), 1e-6)
    along = along / length
    where = np.stack([x - base[0], y - base[1]], -1)
    far = np.clip(where @ along, 0.0, length)
    aside = np.hypot(*np.moveaxis(where - far[..., None] * along, -1, 0))
    radius = 0.5 * width * (1.0 - 0.18 * far / length)
    inside = np.clip((radius - aside) / 1.2 + 0.5, 0.0, 1.0)
    round_ = np.sqrt(np.clip(1.0 - (aside / np.maximum(radius, 1e-6)) ** 2, 0.0, 1.0))
    depth = rng.uniform(0.25, 0.6)
    light = 1.0 - depth + depth * round_
    for joint in rng.uniform(0.35, 0.8, 2):
        light = light - 0.12 * np.exp(-(((far - joint * length) / (0.03 * length + 1)) ** 2))
    own = np.median(paint[::16, ::16], axis=(0, 1)) * rng.uniform(0.92, 1.08)
    share = inside[..., None]
    paint[:] = paint * (1 - share) + own * light[..., None] * share
    if rng.random() < 0.6:
        nail = _polygon(cover.shape, _ellipse(tip, 0.26 * width, 0.36 * width, along), 0.7)
        paint += nail[..., None] * rng.uniform(-10, 45)
    np.maximum(cover, inside.astype(np.float32), out=cover)


def _ellipse(centre: Floats, across: float, along: float, way: Floats) -> Floats:
    t = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    side = np.array([-way[1], way[0]])
    outline = centre + across * np.cos(t)[:, None] * side + along * np.sin(t)[:, None] * way
    return np.asarray(outline, np.float64)


def _mask(scene: Scene) -> tuple[Floats, Cover]:
    """A mask or scarf over mouth and chin, and mostly the nose: cloth with folds."""
    rng, points, unit = scene.rng, scene.landmarks, scene.unit
    top = points[int(rng.choice([28, 29, 30, 33]))]
    first = int(rng.integers(1, 5))
    jaw = points[first : 17 - first] + rng.normal(0, 0.05 * unit, 2)
    low = jaw.mean(0) + (jaw - jaw.mean(0)) * rng.uniform(0.95, 1.2)
    outline = np.concatenate([low, top[None] + rng.normal(0, 0.05 * unit, (1, 2))])
    colour = _colour(rng)
    if rng.random() < 0.5:
        choices = [(150, 190, 225), (235, 235, 235), (25, 25, 28), (120, 170, 190)]
        colour = np.array(choices[int(rng.integers(4))], np.float64) + rng.normal(0, 10, 3)
    paint = _texture(scene, colour)
    for _ in range(int(rng.integers(0, 4))):
        y = points[33:58, 1].mean() + rng.normal(0, 0.3 * unit)
        rows = np.exp(-(((np.arange(len(paint)) - y) / (0.04 * unit)) ** 2))
        paint *= 1.0 - rng.uniform(0.05, 0.3) * rows[:, None, None]
    return paint, _polygon(scene.picture.shape, outline, rng.uniform(0.5, 2.0))


def _hair(scene: Scene) -> tuple[Floats, Cover]:
    """A fringe or a lock that covers what it falls over."""
    rng, unit, shape = scene.rng, scene.unit, scene.picture.shape
    root = scene.landmarks[17:27].mean(0) + unit * np.array([rng.normal(0, 0.7), -1.0])
    end, width = scene.aim(), unit * rng.uniform(0.25, 0.8)
    if rng.random() < 0.4:
        end = scene.landmarks[17:27].mean(0) + unit * np.array([rng.normal(0, 0.5), 0.25])
        width = unit * rng.uniform(0.8, 1.8)
    bend = 0.5 * (root + end) + rng.normal(0, 0.3 * unit, 2)
    dark = rng.uniform(8, 150) * rng.uniform((0.9, 0.7, 0.5), (1.2, 1.0, 0.95))
    paint = np.tile(dark, (*shape[:2], 1)).astype(np.float64)
    mask = np.zeros(shape[:2], np.uint8)
    t = np.linspace(0.0, 1.0, 10)[:, None]
    for _ in range(int(rng.integers(60, 140))):
        off = rng.normal(0, width / 3, 2)
        path = (1 - t) ** 2 * (root + off) + 2 * t * (1 - t) * (bend + off) + t**2 * (end + off)
        path += rng.normal(0, 0.05 * unit, 2) * t
        points = [np.rint(path * _FINE).astype(np.int32).reshape(-1, 1, 2)]
        thick = max(int(0.04 * unit * rng.uniform(0.5, 1.8)), 1)
        tone = tuple(float(c) for c in dark * rng.uniform(0.6, 1.6))
        cv2.polylines(paint, points, False, tone, thick, cv2.LINE_AA, 4)
        cv2.polylines(mask, points, False, 255, thick + 1, cv2.LINE_AA, 4)
    return paint, np.asarray(mask / np.float32(255), np.float32)


def _dark_glasses(scene: Scene) -> tuple[Floats, Cover]:
    """Lenses that one cannot look through."""
    rng, points, unit = scene.rng, scene.landmarks, scene.unit
    way = points[45] - points[36]
    way = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6)
    wide, high = unit * rng.uniform(0.28, 0.4), unit * rng.uniform(0.2, 0.34)
    cover = np.zeros(scene.picture.shape[:2], np.float32)
    for eye in (slice(36, 42), slice(42, 48)):
        centre = points[eye].mean(0) + rng.uniform(-0.02, 0.1) * unit * way
        outline = _ellipse(centre, wide, high, way)
        cover = np.maximum(cover, _polygon(cover.shape, outline, 0.8))
    bridge = np.stack([points[39], points[42], points[42] + 0.08 * unit * way])
    cover = np.maximum(cover, _polygon(cover.shape, bridge, 0.8))
    paint = _texture(scene, rng.uniform(0, 60) * rng.uniform(0.8, 1.2, 3))
    y = np.linspace(0.0, 1.0, len(paint))[:, None, None]
    paint = paint + rng.uniform(0, 60) * y
    return paint, cover * np.float32(rng.uniform(0.9, 1.0))


def _stick(scene: Scene) -> tuple[Floats, Cover]:
    """A microphone, a cup, a telephone: a bar or a round thing at the face."""
    rng, unit, shape = scene.rng, scene.unit, scene.picture.shape
    aim, angle = scene.aim(), rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-way[1], way[0]])
    width, length = unit * rng.uniform(0.15, 0.5), unit * rng.uniform(0.4, 3.0)
    corners = np.array([aim - width * side, aim + width * side])
    outline = np.concatenate([corners, corners[::-1] + length * way])
    cover = _polygon(shape, outline, rng.uniform(0.4, 1.2))
    if rng.random() < 0.6:
        ball = _ellipse(aim, width * rng.uniform(1.0, 1.8), width * rng.uniform(1.0, 2.0), way)
        cover = np.maximum(cover, _polygon(shape, ball, 0.8))
    return _texture(scene, _colour(rng)), cover


def _thing(scene: Scene) -> tuple[Floats, Cover]:
    """Any outline: a box, a blob, an edge of something large; paint, or part of another picture."""
    rng, unit, shape = scene.rng, scene.unit, scene.picture.shape
    aim, kind = scene.aim(), rng.random()
    if kind < 0.3:
        half = unit * rng.uniform(0.2, 1.3, 2)
        angle = rng.normal(0, 0.3)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        outline = aim + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ turn.T
    elif kind < 0.75:
        count = int(rng.integers(5, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        radii = unit * rng.uniform(0.25, 1.1) * rng.uniform(0.5, 1.4, count)
        outline = aim + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        way = np.array([np.cos(angle), np.sin(angle)])
        side, far = 9 * unit * np.array([-way[1], way[0]]), 9 * unit * way
        outline = np.stack([aim - side, aim + side, aim + side + far, aim - side + far])
    cover = _polygon(shape, outline, rng.uniform(0.4, 2.0))
    if rng.random() < 0.45:
        scale = rng.uniform(0.5, 2.5)
        size = max(int(max(shape[:2]) * scale), max(shape[:2]))
        big = cv2.resize(scene.other, (size, size))
        y, x = (int(rng.integers(0, size - side + 1)) for side in shape[:2])
        paint = big[y : y + shape[0], x : x + shape[1]]
        turn = int(rng.integers(4))
        if shape[0] == shape[1]:
            paint = np.rot90(paint, turn)
        return np.asarray(paint, np.float64), cover
    colour = scene.skin() * rng.uniform(0.8, 1.25) if rng.random() < 0.3 else _colour(rng)
    return _texture(scene, colour), cover


def _pixels(scene: Scene) -> tuple[Floats, Cover]:
    """A part of the face made unknown: by large pixels, or by blur."""
    rng, unit, picture = scene.rng, scene.unit, scene.picture
    outline = _ellipse(scene.aim(), *(unit * rng.uniform(0.3, 1.0, 2)), np.array([0.0, 1.0]))
    if rng.random() < 0.5:
        paint = cv2.GaussianBlur(picture, (0, 0), unit * rng.uniform(0.2, 0.4))
    else:
        few = max(int(max(picture.shape) / (unit * rng.uniform(0.2, 0.4))), 2)
        small = cv2.resize(picture, (few, few), interpolation=cv2.INTER_AREA)
        size = picture.shape[1], picture.shape[0]
        paint = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(paint, np.float64), _polygon(picture.shape, outline, 1.0)


def _spectacles(picture: Image, scene: Scene) -> None:
    """Rims, bridge and temples around eyes that one sees; now and then a glimmer on a lens."""
    rng, points, unit = scene.rng, scene.landmarks, scene.unit
    tone = rng.uniform(0, 90) if rng.random() < 0.7 else rng.uniform(90, 255)
    colour = tuple(float(c) for c in np.clip(tone + rng.normal(0, 15, 3), 0, 255))
    thick = max(int(unit * rng.uniform(0.015, 0.07)), 1)
    way = points[45] - points[36]
    down = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6)
    wide, high = unit * rng.uniform(0.27, 0.4), unit * rng.uniform(0.18, 0.33)
    ends = []
    for eye, ear in ((slice(36, 42), 0), (slice(42, 48), 16)):
        centre = points[eye].mean(0) + rng.uniform(-0.02, 0.08) * unit * down
        rim = _ellipse(centre, wide, high, down)
        _line(picture, rim, colour, thick, closed=True)
        inner, outer = rim[np.argsort(np.hypot(*(rim - points[27]).T))[[0, -1]]]
        _line(picture, np.stack([outer, points[ear]]), colour, thick, closed=False)
        ends.append(inner)
        if rng.random() < 0.3:
            share = rng.uniform(0.05, 0.35) * _polygon(picture.shape, rim, 1.0)[..., None]
            glimmer = rng.uniform(0, 255, 3)
            picture[:] = np.clip(picture * (1 - share) + glimmer * share, 0, 255).astype(np.uint8)
    _line(picture, np.stack(ends), colour, thick, closed=False)


def _bearded(scene: Scene) -> Image:
    """Hair around the mouth that lets the lips be seen."""
    rng, points, picture = scene.rng, scene.landmarks, scene.picture
    lips, kind = points[48:60], scene.rng.random()
    cover = np.zeros(picture.shape[:2], np.float32)
    if kind < 0.7:
        nose = points[31:36].mean(0)
        upper = np.concatenate([lips[:7], (0.35 * lips[:7] + 0.65 * nose)[::-1]])
        cover = np.maximum(cover, _polygon(cover.shape, upper, 0.04 * scene.unit))
    if kind > 0.35:
        chin = np.concatenate([points[3:14], lips[6:12], lips[:1]])
        cover = np.maximum(cover, _polygon(cover.shape, chin, 0.05 * scene.unit))
    cover = cover * (1.0 - _polygon(cover.shape, 0.95 * (lips - lips.mean(0)) + lips.mean(0), 1.0))
    hairs = 0.65 + 0.35 * np.clip(_noise(cover.shape, 90, rng), -1, 1)
    share = cover[..., None] * hairs * rng.uniform(0.3, 1.0)
    colour = rng.uniform(10, 150) * rng.uniform((0.9, 0.7, 0.5), (1.2, 1.0, 0.95))
    return np.clip(picture * (1 - share) + colour * share, 0, 255).astype(np.uint8)


def _made_up(picture: Image, scene: Scene) -> Image:
    """Lips or lids in another colour."""
    rng, points = scene.rng, scene.landmarks
    parts = [points[48:60]] if rng.random() < 0.6 else [points[36:42], points[42:48]]
    out = picture.astype(np.float64)
    colour = rng.uniform(0, 255, 3)
    for part in parts:
        outline = part.mean(0) + (part - part.mean(0)) * rng.uniform(1.0, 1.3)
        share = rng.uniform(0.1, 0.45) * _polygon(picture.shape, outline, 1.5)[..., None]
        out = out * (1 - share) + colour * share
    return np.clip(out, 0, 255).astype(np.uint8)


def _strands(picture: Image, scene: Scene, count: int, end: Floats) -> None:
    """Single hairs over the face, drawn into the picture."""
    rng, unit = scene.rng, scene.unit
    root = scene.landmarks[17:27].mean(0) + unit * np.array([rng.normal(0, 0.7), -1.0])
    colour = tuple(float(c) for c in rng.uniform(10, 140) * np.array([1.0, 0.85, 0.7]))
    t = np.linspace(0.0, 1.0, 8)[:, None]
    for _ in range(count):
        goal, bend = end + rng.normal(0, 0.4 * unit, 2), rng.normal(0, 0.3 * unit, 2)
        path = (1 - t) * root + t * goal + t * (1 - t) * bend
        _line(picture, path, colour, 1, closed=False)


def _line(
    image: Image, path: Floats, colour: tuple[float, ...], width: int, *, closed: bool
) -> None:
    points = [np.rint(path * _FINE).astype(np.int32).reshape(-1, 1, 2)]
    cv2.polylines(image, points, closed, colour, width, cv2.LINE_AA, 4)
