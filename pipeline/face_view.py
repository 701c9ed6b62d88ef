"""A turned square of an image at another scale: averaged where it has fewer pixels, not sampled."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Transform = npt.NDArray[np.float64]

# Pixels around what the square shows that its border's interpolation may look at.
_MARGIN = 2


def face_view(
    image: Image, transform: Transform, side: int, shrink: int, border: int | None
) -> Image:
    """The square (side, side, 3) uint8 of an image (h, w, 3) uint8.

    transform: (2, 3) similarity from source pixels to the square's; pixels' centres have whole
    coordinates. shrink: blocks of so many source pixels squared are averaged first. border: grey
    level beyond the image, or None for its border to go on.
    """
    if shrink > 1:
        image, transform = _shrunk(image, transform, side, shrink)
    if border is None:
        how, grey = cv2.BORDER_REPLICATE, 0
    else:
        how, grey = cv2.BORDER_CONSTANT, border
    view = cv2.warpAffine(
        image,
        transform,
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=how,
        borderValue=(grey,) * 3,
    )
    return np.asarray(view, np.uint8)


def _shrunk(image: Image, transform: Transform, side: int, shrink: int) -> tuple[Image, Transform]:
    """Averages of the image's blocks where the square lies, and the transform from them."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) - 0.5
    seen = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T / shrink
    low = np.floor(seen.min(0)).astype(int) - _MARGIN
    high = np.ceil(seen.max(0)).astype(int) + _MARGIN
    # Blocks are counted from the image's corner, so that a face that moves sees the same ones.
    left, top = np.clip(low, 0, [(width - 1) // shrink, (height - 1) // shrink]).tolist()
    right = int(np.clip(high[0], left + 1, -(-width // shrink)))
    bottom = int(np.clip(high[1], top + 1, -(-height // shrink)))
    part = image[shrink * top : shrink * bottom, shrink * left : shrink * right]
    more = shrink * (bottom - top) - part.shape[0], shrink * (right - left) - part.shape[1]
    if any(more):
        part = np.pad(part, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
    small = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    # Pixel x of the image is (x - (shrink - 1) / 2) / shrink - left of the averages.
    offset = shrink * np.array([left, top]) + (shrink - 1) / 2
    moved = transform[:, 2] + transform[:, :2] @ offset
    return np.asarray(small, np.uint8), np.column_stack([shrink * transform[:, :2], moved])
