"""BP4D-Spontaneous (Zhang et al. 2014): subjects, tasks, AUs, folds, and the reader of its clips.

`F001/T1/2440.jpg` (three or four digits, with or without leading zeros),
`AUCoding/AU_OCC/F001_T1.csv`, `AUCoding/AU_INT/AU06/F001_T1_AU06.csv`. Only coded frames are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clips import DatasetContent
from ..published_ratios import relative_ratios
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

# Class weights of the training subjects of each fold, for AUS: in inverse proportion to how often
# an AU is present. Source: ME-GraphAU (Luo et al. 2022), data/BP4D/list/BP4D_weight_fold*.
_CLASS_WEIGHTS = (
    (
        *(1.342985, 1.689665, 1.248091, 0.561356, 0.433044, 0.435894),
        *(0.457287, 0.541004, 1.408054, 0.722762, 1.493145, 1.666711),
    ),
    (
        *(1.191051, 1.337315, 1.246995, 0.558933, 0.468168, 0.418041),
        *(0.440099, 0.581900, 1.670360, 0.774237, 1.586367, 1.726535),
    ),
    (
        *(1.132895, 1.519623, 1.308560, 0.552098, 0.507140, 0.443118),
        *(0.474432, 0.535111, 1.496040, 0.749851, 1.582501, 1.698632),
    ),
)
# Share of coded frames with each AU as published, in proportion to each other.
RELATIVE_RATIOS: Mapping[int, float] | None = relative_ratios(AUS, _CLASS_WEIGHTS)

OPTIONS: Mapping[str, Any] = {"frame_offset": 0, "labels": "occurrence", "images": None}

LAYOUT = bp4d_layout.Layout(NAME, SUBJECTS, TASKS, AUS, INTENSITY_AUS)


def find_content(root: Path, **options: Any) -> DatasetContent:
    """The coded clips that are there; options as `bp4d_layout.find_content`."""
    return bp4d_layout.find_content(LAYOUT, root, **options)
