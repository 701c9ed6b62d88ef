"""The panel beside an overlay: curves of the coefficients that are strongest just now."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from .face_frames import Image

# Curves that are shown, and seconds that they reach back.
CURVES, SECONDS = 7, 4.0
# A coefficient's strength fades to a half in so many seconds; another takes its place when it is
# stronger by this factor, so that the list does not flicker.
_HALF_LIFE, _STRONGER = 2.0, 1.4
# Okabe and Ito (2008), light enough for a dark ground. RGB.
_COLOURS = (
    *((86, 180, 233), (230, 159, 0), (0, 178, 135), (240, 228, 66)),
    *((204, 121, 167), (120, 150, 235), (235, 110, 40)),
)
_GROUND, _LINE, _INK = (24, 26, 30), (62, 66, 74), (226, 228, 232)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class CoefficientCurves:
    """Follows one face's f_exp and draws it. names: of the coefficients. rate: frames a second."""

    def __init__(self, names: tuple[str, ...], rate: float) -> None:
        self._names = names
        self._past: deque[npt.NDArray[np.float32]] = deque(maxlen=max(round(SECONDS * rate), 2))
        self._fade = 0.5 ** (1.0 / (_HALF_LIFE * rate))
        self._strength = np.zeros(len(names))
        self._shown: list[int] = list(range(min(CURVES, len(names))))

    def take(self, f_exp: npt.NDArray[np.float32]) -> None:
        """The next frame's coefficients (e,); NaN leaves a gap."""
        self._past.append(f_exp)
        self._strength *= self._fade
        if np.isfinite(f_exp).all():
            self._strength = np.maximum(self._strength, np.abs(f_exp))
        for challenger in np.argsort(-self._strength, kind="stable")[: len(self._shown)]:
            weakest = min(self._shown, key=lambda i: self._strength[i])
            if challenger in self._shown:
                continue
            if self._strength[challenger] > _STRONGER * self._strength[weakest]:
                self._shown[self._shown.index(weakest)] = int(challenger)

    def draw(self, width: int, height: int, title: str) -> Image:
        """The panel (height, width, 3) uint8 RGB."""
        panel = np.full((height, width, 3), _GROUND, np.uint8)
        head = round(0.07 * height)
        size = height / 900.0
        _write(panel, title, (14, round(0.7 * head)), 0.9 * size, _INK)
        each = (height - head - 8) / len(self._shown)
        for place, index in enumerate(self._shown):
            top = head + place * each
            self._draw_curve(panel, index, top, each, _COLOURS[place % len(_COLOURS)], size)
        return panel

    def _draw_curve(
        self,
        panel: Image,
        index: int,
        top: float,
        tall: float,
        colour: tuple[int, int, int],
        size: float,
    ) -> None:
        left, right = 14, panel.shape[1] - 14
        values = np.array([f_exp[index] for f_exp in self._past], np.float64)
        value = values[-1] if len(values) else np.nan
        baseline, ceiling = round(top + 0.9 * tall), round(top + 0.34 * tall)
        _write(panel, self._names[index], (left, round(top + 0.26 * tall)), 0.8 * size, colour)
        shown = "-" if np.isnan(value) else f"{value:.2f}"
        wide = cv2.getTextSize(shown, _FONT, 0.8 * size, 1)[0][0]
        _write(panel, shown, (right - wide, round(top + 0.26 * tall)), 0.8 * size, _INK)
        for y in (baseline, ceiling):
            cv2.line(panel, (left, y), (right, y), _LINE, 1, cv2.LINE_AA)
        # The newest value is at the right border.
        steps = (self._past.maxlen or 2) - 1
        x = right - (len(values) - 1 - np.arange(len(values))) * (right - left) / steps
        height = baseline - np.clip(values, 0.0, 1.0) * (baseline - ceiling)
        known = np.isfinite(values)
        for run in np.split(np.arange(len(values)), np.flatnonzero(np.diff(known)) + 1):
            if len(run) and known[run[0]]:
                points = np.column_stack([x[run], height[run]]) * 16
                curve = [np.round(points).astype(np.int32)]
                cv2.polylines(panel, curve, False, colour, 2, cv2.LINE_AA, 4)


def _write(
    panel: Image, words: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(panel, words, place, _FONT, size, colour, 1, cv2.LINE_AA)
