"""Contact sheets of photographs: human landmarks in green, detected ones in magenta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import Photograph

from glee.fitting.morphable_model.landmark_scheme import CURVES
from glee.whole_files import write_whole

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

CELL, CAPTION, COLUMNS = 320, 24, 6
MARGIN = 0.28  # around the annotated face, in its larger side
TRUE, FOUND, TEXT = (60, 255, 60), (255, 60, 220), (235, 235, 235)
SHIFT = 4  # sub-pixel bits of OpenCV's drawing


@dataclass(frozen=True, eq=False)
class Cell:
    """A face of a sheet. detected: (68, 2) pixels, or None where it was not found."""

    photograph: Photograph
    detected: Floats | None
    caption: str


def write_sheet(path: Path, cells: Sequence[Cell]) -> None:
    """Write the cells as a PNG, row by row."""
    if not cells:
        return
    drawn = [_draw(cell) for cell in cells]
    drawn += [np.full_like(drawn[0], 30)] * (-len(drawn) % min(COLUMNS, len(drawn)))
    columns = min(COLUMNS, len(cells))
    rows = [np.hstack(drawn[i : i + columns]) for i in range(0, len(drawn), columns)]
    done, data = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError("the contact sheet cannot be encoded")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.tobytes())


def _draw(cell: Cell) -> Image:
    truth = cell.photograph.landmarks
    low, high = truth.min(0), truth.max(0)
    side = float((high - low).max()) * (1.0 + 2.0 * MARGIN)
    scale = CELL / side
    shift = CELL / 2.0 - scale * (low + high) / 2.0
    place = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    picture = cv2.warpAffine(cell.photograph.picture, place, (CELL, CELL), flags=cv2.INTER_AREA)
    for points, colour in ((truth, TRUE), (cell.detected, FOUND)):
        if points is not None:
            _draw_points(picture, points * scale + shift, colour)
    bar = np.full((CAPTION, CELL, 3), 30, np.uint8)
    cv2.putText(bar, cell.caption, (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT, 1, cv2.LINE_AA)
    return np.asarray(np.vstack([picture, bar]), np.uint8)


def _draw_points(picture: NDArray[np.integer], points: Floats, colour: tuple[int, ...]) -> None:
    fixed = np.round(points * (1 << SHIFT)).clip(-(1 << 20), 1 << 20).astype(np.int32)
    for curve in CURVES.values():
        cv2.polylines(picture, [fixed[list(curve)]], False, colour, 1, cv2.LINE_AA, SHIFT)
    for x, y in fixed.tolist():
        cv2.circle(picture, (x, y), 2 << SHIFT, colour, -1, cv2.LINE_AA, SHIFT)
