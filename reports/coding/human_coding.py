"""What people coded: tiers of Action Units, and which of a file's tiers are such.

A tier is of an Action Unit where its name says so: "AU12", "AU 12", "AU12 left", "L12", "AU12
face 1", "AU12@Anna". A tier that `glee events` wrote and nobody changed is no person's coding and
is left out, and so are tiers whose names end in "apex".
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from .event_files import ANNOTATOR, tier_digest

# 43 and 45 are one movement; glee's columns have 45.
_SAME = {43: 45}
_NAME = re.compile(
    r"(?:au|action unit)[ _-]*0*(\d{1,2})(?!\d)(?:[ _-]*(left|right|l|r)(?![a-z]))?(.*)"
    r"|(l|r|left|right)[ _-]*(?:au)?[ _-]*0*(\d{1,2})(?!\d)(.*)",
    re.IGNORECASE | re.DOTALL,
)
_FACE = re.compile(r"(?:^|[ _])face[ _](\d{1,3})\b", re.IGNORECASE)
_CODER = re.compile(r"@\s*(.+?)\s*$")
_OWN = re.compile(rf"{ANNOTATOR} ([0-9a-f]{{16}})")


@dataclass(frozen=True)
class Mark:
    """An annotation.

    Attributes
    ----------
    start, end : int, milliseconds
        It lasts while start <= time < end; numbers of frames where the tier is so.
    value : str
        As it was written.
    """

    start: int
    end: int
    value: str

    @property
    def graded(self) -> bool:
        """Whether it tells strengths apart: not so 0 and 1, by which many say absent, present."""
        return self.intensity is not None and self.value.strip() not in ("0", "1")

    @property
    def intensity(self) -> float | None:
        """From 0 to 5, of a number or of FACS's letters A to E; None where the value is neither."""
        text = self.value.strip()
        match = re.fullmatch(r"(?:AU\s*)?\d{0,2}\s*([A-E])", text, re.IGNORECASE)
        if match:
            return float("ABCDE".index(match[1].upper()) + 1)
        if re.fullmatch(r"\d(?:[.,]\d+)?", text):
            number = float(text.replace(",", "."))
            return number if number <= 5 else None
        return None


@dataclass(frozen=True)
class Tier:
    """An Action Unit as a person coded it.

    Attributes
    ----------
    name : str
        In the file.
    unit : str
        As glee's tables call it: "AU12", "AU12 left".
    face : int or None
        Of the table, where the name says it.
    coder : str
        "" where the file does not say.
    marks : tuple of Mark
        By time.
    sampled : bool
        Coded frame by frame: what no mark covers is not known, else it is absent.
    by_frame : bool
        Marks are in frames of the clip, not in milliseconds.
    """

    name: str
    unit: str
    face: int | None
    coder: str
    marks: tuple[Mark, ...]
    sampled: bool = False
    by_frame: bool = False


@dataclass(frozen=True)
class Coding:
    """The coding of a clip.

    Attributes
    ----------
    path : Path
        Of the file.
    names : tuple of str
        By which its table can be called: the observation's, the video's, the file's.
    tiers : tuple of Tier
        What people coded.
    unchanged : tuple of str
        Tiers that are glee's own.
    others : tuple of str
        Tiers that are of no Action Unit.
    """

    path: Path
    names: tuple[str, ...]
    tiers: tuple[Tier, ...]
    unchanged: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass
class Raw:
    """Tiers of a clip as a file has them, before their names are read.

    Attributes
    ----------
    names : list of str
        Of the clip.
    marks : dict of str to list of Mark
        By tier.
    annotators : dict of str to str
        By tier, where the file says it.
    digests : dict of str to str
        By tier, of what glee wrote.
    sampled, by_frame : bool
        See `Tier`, of all tiers.
    of_glee : bool
        The rows look as `glee events` writes them.
    """

    names: list[str] = field(default_factory=list)
    marks: dict[str, list[Mark]] = field(default_factory=lambda: defaultdict(list))
    annotators: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    sampled: bool = False
    by_frame: bool = False
    of_glee: bool = False


def unit_name(text: str) -> tuple[str, int | None, str] | None:
    """The Action Unit, the face and the coder that a tier's name says; None where it is no AU's."""
    match = _NAME.fullmatch(text.strip())
    if match is None:
        return None
    number, side, rest = (match[1], match[2], match[3]) if match[1] else match.group(5, 4, 6)
    if rest.strip().lower().endswith("apex") or re.match(r"\s*\+", rest):
        return None
    unit = f"AU{_SAME.get(int(number), int(number))}"
    if side:
        unit += " left" if side[0].lower() == "l" else " right"
    face, coder = _FACE.search(rest), _CODER.search(rest)
    return unit, int(face[1]) if face else None, coder[1] if coder else ""


def coding_of(path: Path, raw: Raw) -> Coding:
    """What people coded of the tiers that a file has."""
    tiers, unchanged, others = [], [], []
    # A tier of a table from which somebody removed every event has no row left.
    every = {**{name: [] for name in raw.digests}, **raw.marks}
    for name, marks in every.items():
        said = unit_name(name)
        # glee's own tiers of apexes, which follow from its others.
        if said is None and raw.annotators.get(name) == ANNOTATOR:
            continue
        if said is None:
            others.append(name)
            continue
        digest = tier_digest((mark.start, mark.end, mark.value) for mark in marks)
        own = _OWN.fullmatch(raw.annotators.get(name, ""))
        if digest == (own[1] if own else raw.digests.get(name)):
            unchanged.append(name)
            continue
        unit, face, coder = said
        annotator = "" if own else raw.annotators.get(name, "")
        marks = sorted(marks, key=lambda mark: (mark.start, mark.end))
        who = coder or annotator
        tiers.append(Tier(name, unit, face, who, tuple(marks), raw.sampled, raw.by_frame))
    names = dict.fromkeys(name for name in (*raw.names, path.stem) if name)
    return Coding(path, tuple(names), tuple(tiers), tuple(unchanged), tuple(others))


def stem(place: str) -> str:
    """The name of a video without its folder and suffix, of a path of any system or an address."""
    return PurePosixPath(unquote(place).replace("\\", "/")).stem
