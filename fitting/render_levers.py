"""What a picture's realism is made of, part by part: each can be left out, some be added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import UsageError
from .render.appearance import Appearance, Light

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
class Levers:
    """The parts left out of a picture and those added; none by default.

    without: names of PARTS. added: names of ADDITIONS.
    """

    without: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()


AS_EVER = Levers()


def levers_of(without: Iterable[str] = (), added: Iterable[str] = ()) -> Levers:
    """Levers from names; raises UsageError for one that is unknown."""
    levers = Levers(frozenset(without), frozenset(added))
    for names, known, option in (
        (levers.without, PARTS, "--without"),
        (levers.added, ADDITIONS, "--with"),
    ):
        for name in sorted(names - known.keys()):
            raise UsageError(f"{option} {name!r} is unknown; known are: {', '.join(known)}")
    return levers


def pulled(look: Appearance, levers: Levers) -> Appearance:
    """A look without what is left out, with what is added; the same one where that is nothing."""
    if levers == AS_EVER:
        return look
    without = levers.without
    changes: dict[str, object] = {"without": without, "added": levers.added}
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
    return replace(look, **changes)  # type: ignore[arg-type]
