"""How a rendered person and picture look, all but shape and pose; looks drawn at random.

`RenderParts` names what a picture's realism is made of: each part can be left out, some be added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError

Colour = tuple[float, float, float]
Direction = tuple[float, float, float]

# The Monk skin tone scale (Monk 2019, CC BY 4.0), light to dark, sRGB.
SKIN_TONES = (
    (246, 237, 228),
    (243, 231, 219),
    (247, 234, 208),
    (234, 218, 186),
    (215, 189, 150),
    (160, 126, 86),
    (130, 92, 67),
    (96, 65, 52),
    (58, 49, 42),
    (41, 36, 32),
)
# The palest and darkest swatches are light on and shadow in skin; albedos lie between.
LIGHTEST, DARKEST = 2.6, 8.2
BLOOD = (1.04, 0.92, 0.88)
HAIR_COLOURS = (
    (24, 20, 18),
    (38, 28, 22),
    (62, 42, 28),
    (96, 66, 42),
    (150, 112, 70),
    (120, 60, 34),
    (150, 148, 144),
)
HAIR_SHARES = (0.30, 0.24, 0.20, 0.10, 0.06, 0.04, 0.06)
IRIS_COLOURS = ((50, 30, 18), (78, 50, 28), (96, 84, 48), (84, 106, 92), (92, 120, 148))
IRIS_SHARES = (0.38, 0.27, 0.13, 0.09, 0.13)


@dataclass(frozen=True)
class Light:
    """Lamps on the face.

    Attributes
    ----------
    key, fill : directions towards the two lamps, camera axes (x right, y up, z to the camera)
    key_colour, fill_colour : linear RGB intensities of the lamps
    sky_colour, ground_colour : linear RGB intensities of the light from above and from below
    """

    key: Direction = (-0.35, 0.45, 0.82)
    key_colour: Colour = (0.78, 0.76, 0.72)
    fill: Direction = (0.7, 0.1, 0.7)
    fill_colour: Colour = (0.16, 0.17, 0.19)
    sky_colour: Colour = (0.42, 0.42, 0.44)
    ground_colour: Colour = (0.20, 0.18, 0.17)


@dataclass(frozen=True)
class Appearance:
    """A person's colours and textures, the light, the background and the sensor.

    Attributes
    ----------
    skin, lip, hair, brow, iris, cloth : sRGB, 0-255
    lip_paint : 0 bare to 1 lipstick
    skin_gloss : strength of the highlights, 0 to 1
    blotches, freckles, stubble, wrinkles, lashes : strength of each, 0 to 1
    brow_density : 0 to 1
    brow_width : thickness of the brows, decimetres
    hair_line : height of the hair line over the eyes, decimetres; None for a bald head
    hair_volume : thickness of the hair, decimetres
    light : the lamps
    seed : of the textures and the background
    background : ``plain``, ``soft`` or ``clutter``
    defocus : standard deviation of the lens's blur, pixels
    noise : standard deviation of the sensor's noise, grey levels
    exposure : factor of the light
    tone : of the skin on the Monk scale, 1 light to 10 dark; None if it is not from there
    without : names of PARTS that are left out
    added : names of ADDITIONS
    """

    skin: Colour = (205, 160, 130)
    lip: Colour = (180, 98, 92)
    hair: Colour = (62, 42, 28)
    brow: Colour = (52, 36, 26)
    iris: Colour = (78, 50, 28)
    cloth: Colour = (70, 80, 100)
    lip_paint: float = 0.0
    skin_gloss: float = 0.5
    blotches: float = 0.5
    freckles: float = 0.0
    stubble: float = 0.0
    wrinkles: float = 0.4
    lashes: float = 0.85
    brow_density: float = 0.75
    brow_width: float = 0.048
    hair_line: float | None = 0.70
    hair_volume: float = 0.10
    light: Light = Light()
    seed: int = 0
    background: str = "soft"
    defocus: float = 0.6
    noise: float = 2.0
    exposure: float = 1.0
    tone: float | None = None
    without: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draw a random person in a random picture.

    Parameters
    ----------
    rng : the same state gives the same appearance

    Returns
    -------
    Appearance
    """
    tone = float(rng.uniform(LIGHTEST, DARKEST))
    skin = skin_tone(tone, float(rng.normal(0.0, 0.02)))
    male = bool(rng.random() < 0.5)
    hair = _pick(rng, HAIR_COLOURS, HAIR_SHARES)
    if tone > 5.5:
        hair = HAIR_COLOURS[int(rng.integers(0, 2))]
    iris = _pick(rng, IRIS_COLOURS, IRIS_SHARES) if tone < 5.5 else IRIS_COLOURS[0]
    lip_paint = float(rng.uniform(0.2, 0.9)) if not male and rng.random() < 0.5 else 0.0
    bald = male and rng.random() < 0.12
    brow = _scaled(hair, 0.65) if sum(hair) < 400 else (70.0, 59.0, 48.0)
    return Appearance(
        skin=skin,
        lip=_lip_colour(skin, lip_paint, rng),
        hair=_jittered(hair, 0.15, rng),
        brow=_jittered(brow, 0.15, rng),
        iris=_jittered(iris, 0.2, rng),
        cloth=_jittered((110.0, 110.0, 115.0), 0.7, rng),
        lip_paint=lip_paint,
        skin_gloss=float(rng.uniform(0.15, 0.8)),
        blotches=float(rng.uniform(0.2, 1.0)),
        freckles=float(rng.uniform(0.0, 1.0)) if rng.random() < 0.35 else 0.0,
        stubble=float(rng.uniform(0.1, 1.0)) if male and rng.random() < 0.6 else 0.0,
        wrinkles=float(rng.uniform(0.0, 0.8)),
        lashes=float(rng.uniform(0.6, 0.95) if male else rng.uniform(0.75, 1.0)),
        brow_density=float(rng.uniform(0.55, 0.9)),
        brow_width=float(rng.uniform(0.04, 0.065) if male else rng.uniform(0.03, 0.05)),
        hair_line=None if bald else float(rng.uniform(0.58, 0.80)),
        hair_volume=float(rng.uniform(0.03, 0.08) if male else rng.uniform(0.06, 0.20)),
        light=random_light(rng),
        seed=int(rng.integers(0, 2**31)),
        background=("plain", "soft", "clutter")[int(rng.choice(3, p=(0.2, 0.45, 0.35)))],
        defocus=float(rng.uniform(0.3, 0.9)),
        noise=float(rng.uniform(0.8, 4.0)),
        exposure=float(rng.uniform(0.85, 1.2)),
        tone=tone,
    )


def random_light(rng: np.random.Generator) -> Light:
    """Draw a key lamp from the front half, a weak fill, sky and ground.

    Parameters
    ----------
    rng : the same state gives the same light

    Returns
    -------
    Light
    """
    side, height = rng.uniform(-65.0, 65.0), rng.uniform(5.0, 55.0)
    key = _towards(side, height)
    fill = _towards(-float(np.sign(side)) * rng.uniform(20.0, 70.0), rng.uniform(-10.0, 30.0))
    strength = rng.uniform(0.35, 0.85)
    ambient = rng.uniform(0.30, 0.55)
    warm = float(rng.normal(0.0, 0.05))
    return Light(
        key=key,
        key_colour=_tint(strength, warm),
        fill=fill,
        fill_colour=_tint(float(rng.uniform(0.08, 0.28)), -warm),
        sky_colour=_tint(ambient, -warm / 2),
        ground_colour=_tint(ambient * float(rng.uniform(0.35, 0.7)), warm),
    )


def skin_tone(tone: float, redness: float = 0.0) -> Colour:
    """The albedo of a place on the Monk skin tone scale (Monk 2019).

    Parameters
    ----------
    tone : 1 light to 10 dark; between the swatches linear
    redness : what red gains and blue loses, a share

    Returns
    -------
    (3,) float
        sRGB, 0-255
    """
    scale = np.arange(1, len(SKIN_TONES) + 1)
    grey = [np.interp(tone, scale, [swatch[c] for swatch in SKIN_TONES]) for c in range(3)]
    shift = (1.0 + redness, 1.0, 1.0 - redness)
    return _clipped(tuple(g * b * s for g, b, s in zip(grey, BLOOD, shift, strict=True)))


def _lip_colour(skin: Colour, paint: float, rng: np.random.Generator) -> Colour:
    bare = np.asarray(skin) * (0.88, 0.62, 0.62) + (6.0, 0.0, 4.0)
    painted = np.array([rng.uniform(120, 190), rng.uniform(25, 80), rng.uniform(40, 90)])
    return _clipped(tuple(bare * (1.0 - paint) + painted * paint))


def _pick(
    rng: np.random.Generator, colours: tuple[tuple[int, int, int], ...], shares: tuple[float, ...]
) -> Colour:
    red, green, blue = colours[int(rng.choice(len(colours), p=shares))]
    return float(red), float(green), float(blue)


def _jittered(colour: Colour, spread: float, rng: np.random.Generator) -> Colour:
    factor = rng.uniform(1 - spread, 1 + spread) * rng.uniform(1 - spread / 3, 1 + spread / 3, 3)
    return _clipped(tuple(np.asarray(colour) * factor))


def _scaled(colour: Colour, factor: float) -> Colour:
    return _clipped(tuple(np.asarray(colour) * factor))


def _clipped(colour: tuple[float, ...] | NDArray[np.float64]) -> Colour:
    red, green, blue = (float(np.clip(c, 2.0, 253.0)) for c in colour)
    return red, green, blue


def _tint(strength: float, warm: float) -> Colour:
    return strength * (1.0 + warm), strength, strength * (1.0 - warm)


def _towards(side: float, height: float) -> Direction:
    a, b = np.radians(side), np.radians(height)
    return float(np.sin(a) * np.cos(b)), float(np.sin(b)), float(np.cos(a) * np.cos(b))


# Part: what it is. All of them are in a picture unless left out.
PARTS: dict[str, str] = {
    "lids": "the fold over the upper lid, and lids that darken as they close",
    "lashes": "lash hairs, the dark rims of the lids and the lashes' roots",
    "brows": "brow hairs and their body",
    "wrinkles": "the folds beside nose and mouth",
    "shadows": "the key lamp's shadows, and less sky in hollows",
    "lips": "the lips' own colour and gloss",
    "teeth": "teeth",
    "tongue": "the tongue",
    "hair": "the cap of hair",
    "cloth": "shoulders in cloth",
    "light": "light from anywhere; without it, the same lamps in all pictures",
    "skin": "blotches, pores, blush, freckles and stubble",
    "background": "what is behind the head; without it, one colour",
    "defocus": "a soft lens",
    "noise": "the sensor's noise",
    "codec": "losses of JPEG; without it, the best quality there is",
}
# What can be added.
ADDITIONS: dict[str, str] = {
    "lip-texture": "furrows of the lips",
    "motion-blur": "a shutter that is open for half of the time",
    "face-cloth": "a scarf over mouth and chin",
    "compression": "JPEG of low quality before the file is written",
}


@dataclass(frozen=True)
class RenderParts:
    """The parts left out of a picture and those added; none by default.

    Attributes
    ----------
    without : names of PARTS
    added : names of ADDITIONS
    """

    without: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()


ALL_PARTS = RenderParts()


def render_parts(without: Iterable[str] = (), added: Iterable[str] = ()) -> RenderParts:
    """Make RenderParts of names.

    Parameters
    ----------
    without : names of PARTS to leave out
    added : names of ADDITIONS

    Returns
    -------
    RenderParts

    Raises
    ------
    UsageError
        a name is unknown
    """
    parts = RenderParts(frozenset(without), frozenset(added))
    for names, known, option in (
        (parts.without, PARTS, "--without"),
        (parts.added, ADDITIONS, "--with"),
    ):
        for name in sorted(names - known.keys()):
            raise UsageError(f"{option} {name!r} is unknown; known are: {', '.join(known)}")
    return parts


def with_parts(appearance: Appearance, parts: RenderParts) -> Appearance:
    """Leave parts out of an appearance, and add others.

    Parameters
    ----------
    appearance : the whole one
    parts : to leave out and to add

    Returns
    -------
    Appearance
        the same object where nothing is left out or added
    """
    if parts == ALL_PARTS:
        return appearance
    without = parts.without
    changes: dict[str, object] = {"without": without, "added": parts.added}
    if "hair" in without:
        changes["hair_line"] = None
    if "light" in without:
        changes["light"] = Light()
    if "background" in without:
        changes["background"] = "plain"
    if "defocus" in without:
        changes["defocus"] = 0.0
    if "noise" in without:
        changes["noise"] = 0.0
    return replace(appearance, **changes)  # type: ignore[arg-type]
