"""The cut-out around a face whose box is known: one face of a photograph as a frame of fixed size.

Photographs of a collection such as FEC differ in size and may show several people. Cut out and
scaled alike, they are frames of one size in which the face in question is the largest and central.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .clips import FaceBox

# Side of the frame, pixels, and of what it shows, in sides of the face's box.
SIDE = 320
SURROUNDINGS = 2.0
BORDER_GREY = 128


def cut_out(image: npt.NDArray[np.uint8], box: FaceBox) -> npt.NDArray[np.uint8]:
    """A square around a face, grey where it leaves the image: (SIDE, SIDE, 3) uint8 RGB.

    image: (h, w, 3) uint8 RGB. box: in parts of its width and height.
    """
    height, width = image.shape[:2]
    left, right, top, bottom = (np.array(box) * (width, width, height, height)).tolist()
    half = max(0.5 * SURROUNDINGS * max(right - left, bottom - top), 1.0)
    corner = np.array([(left + right) / 2 - half, (top + bottom) / 2 - half])
    scale = SIDE / (2 * half)
    if scale < 1:
        # Averaged down: the part of the image first, since a warp would sample it.
        low = np.floor(corner).astype(int)
        side = max(round(2 * half), 1)
        part = _part(image, int(low[0]), int(low[1]), side)
        return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    transform = np.column_stack([scale * np.eye(2), 0.5 * scale - 0.5 - scale * corner])
    grey = (BORDER_GREY,) * 3
    drawn = cv2.warpAffine(image, transform, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=grey)
    return np.asarray(drawn, np.uint8)


def _part(image: npt.NDArray[np.uint8], left: int, top: int, side: int) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    part = np.full((side, side, 3), BORDER_GREY, np.uint8)
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    if x0 < x1 and y0 < y1:
        part[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return part
