"""BP4D-Spontaneous (Zhang et al. 2014): subjects, tasks, AUs, folds, and the reader of its clips.

`F001/T1/2440.jpg` (three or four digits, with or without leading zeros),
`AUCoding/AU_OCC/F001_T1.csv`, `AUCoding/AU_INT/AU06/F001_T1_AU06.csv`. Only coded frames are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clips import DatasetContent
from . import bp4d_layout

NAME = "bp4d"

# 23 women and 18 men. Source: the dataset as distributed.
SUBJECTS: tuple[str, ...] = (
    *(f"F{number:03d}" for number in range(1, 24)),
    *(f"M{number:03d}" for number in range(1, 19)),
)
TASKS: tuple[str, ...] = tuple(f"T{number}" for number in range(1, 9))

# Coded by occurrence, 0 or 1, 9 where not coded; these 12 are those that papers report. Source:
# JAA-Net (Shao et al. 2018).
AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
AUS_USED = AUS
# Coded by intensity too, 0 to 5. Source: the dataset as distributed; FERA 2015.
INTENSITY_AUS: tuple[int, ...] = (6, 10, 12, 14, 17)

# Frames coded by occurrence, about. Source: the dataset as distributed.
FRAME_COUNT_ABOUT = 146_800

# Subject-exclusive test folds. Source: JAA-Net; ME-GraphAU and FMAE-IAT use the same.
FOLDS: tuple[tuple[str, ...], ...] = (
    (
        *("F001", "F002", "F008", "F009", "F010", "F016", "F018", "F023"),
        *("M001", "M004", "M007", "M008", "M012", "M014"),
    ),
    (
        *("F003", "F005", "F011", "F013", "F020", "F022"),
        *("M002", "M005", "M010", "M011", "M013", "M016", "M017", "M018"),
    ),
    (
        *("F004", "F006", "F007", "F012", "F014", "F015", "F017", "F019", "F021"),
        *("M003", "M006", "M009", "M015"),
    ),
)

# Share of frames with each AU as published: none is given here for want of a source at hand.
PUBLISHED_RATIOS: Mapping[int, float] | None = None

OPTIONS: Mapping[str, Any] = {"frame_offset": 0, "labels": "occurrence", "images": None}

LAYOUT = bp4d_layout.Layout(NAME, SUBJECTS, TASKS, AUS, INTENSITY_AUS)


def find_content(root: Path, **options: Any) -> DatasetContent:
    """The coded clips that are there; options as `bp4d_layout.find_content`."""
    return bp4d_layout.find_content(LAYOUT, root, **options)
