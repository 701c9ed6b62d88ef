"""FAN's view of a face and back: the crop of a box, and the landmarks of 68 heat maps.

As face-alignment, except that neither crops nor landmarks are rounded to whole source pixels.
Boxes are squares of the kind that FAN was trained with: those around the 68 landmarks.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from ..detector import Box, box_of_turned, is_upside_down, landmark_angle

# Sides of the network's input and of its heat maps, pixels.
CROP_SIDE = 256
MAP_SIDE = 64
# The crop's side over the box's, and how far its middle lies above the box's, in box heights.
# Source: face_alignment.utils (SCALE_FACTOR, REFERENCE_SCALE, CENTER_Y_OFFSET).
_CROP_OVER_BOX = 2 * 200.0 / 195.0
_RAISED = 0.12
# Boxes of tracked faces lie on a grid, so that landmarks that differ by their noise alone give the
# same box: steps of the side, as a factor, and of the middle, as a part of the side.
_SIDE_STEP = 2 ** (1 / 16)
_MIDDLE_STEP = 1 / 32
# Before a logarithm is taken of a heat map.
_LEAST_HEAT = 1e-6

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def square_box(box: Box, reference_scale: float = 195.0) -> Box:
    """Give the square that shows FAN the same view as a face detector's box.

    Parameters
    ----------
    box : Box
        The face detector's.
    reference_scale : float
        Of that detector in face-alignment; the smaller, the larger the view.

    Returns
    -------
    Box
        A square.
    """
    width, height = box.right - box.left, box.bottom - box.top
    side = (width + height) / 2 * 195.0 / reference_scale
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    y += _RAISED * (side - height)
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def landmark_box(landmarks: npt.NDArray[np.float32]) -> Box:
    """Give the square around landmarks, on a grid.

    Parameters
    ----------
    landmarks : (68, 2) float32
        Source pixels.

    Returns
    -------
    Box
        A square; an empty one at 0 where they are not finite.
    """
    if not np.isfinite(landmarks).all():
        return Box(0.0, 0.0, 0.0, 0.0)
    over = math.cos(landmark_angle(landmarks)) < 0.0
    return box_of_turned(_box_of_upright, landmarks, math.pi if over else 0.0)


def _box_of_upright(landmarks: npt.NDArray[np.float32]) -> Box:
    low, high = landmarks.min(0).astype(np.float64), landmarks.max(0).astype(np.float64)
    left, top, right, bottom = square_box(Box(*low, *high))
    side = max(right - left, 1.0)
    side = _SIDE_STEP ** round(math.log(side) / math.log(_SIDE_STEP))
    grid = side * _MIDDLE_STEP
    x, y = (grid * round(middle / 2 / grid) for middle in (left + right, top + bottom))
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def crop_transform(box: Box) -> Floats:
    """Map source pixels to the crop's; whole numbers are the middles of pixels.

    Parameters
    ----------
    box : Box
        A square in the source. The crop of an upside-down face is turned over.

    Returns
    -------
    (2, 3) float64
        Its scale is negative where the crop is turned over.
    """
    side = max(box.right - box.left, 1.0)
    over = is_upside_down(box)
    scale = (-1.0 if over else 1.0) * CROP_SIDE / (_CROP_OVER_BOX * side)
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2
    middle[1] += _RAISED * (side if over else -side)
    return np.column_stack([scale * np.eye(2), (CROP_SIDE - 1) / 2 - scale * middle])


def crop_of(image: Image, transform: Floats) -> Image:
    """Cut a face out. Large faces are averaged down, not sampled.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB.
    transform : (2, 3) float64
        As `crop_transform` gives it.

    Returns
    -------
    (256, 256, 3) uint8
        Black outside of the image.
    """
    finer = min(max(math.ceil(0.5 / abs(transform[0, 0])), 1), 8)
    fine = finer * transform
    fine[:, 2] += (finer - 1) / 2
    size = (finer * CROP_SIDE, finer * CROP_SIDE)
    crop = cv2.warpAffine(image, fine, size, flags=cv2.INTER_LINEAR)
    if finer > 1:
        crop = cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def landmarks_of(
    maps: npt.NDArray[np.float32], transform: Floats
) -> tuple[npt.NDArray[np.float32], float]:
    """Find the landmarks in heat maps.

    The place between pixels is that of the Gaussian through the peak and its neighbours.

    Parameters
    ----------
    maps : (68, 64, 64) float32
        The network's output.
    transform : (2, 3) float64
        From source pixels to the crop.

    Returns
    -------
    landmarks : (68, 2) float32
        Source pixels.
    confidence : float
        The mean height of the peaks, in [0, 1].
    """
    flat = maps.reshape(len(maps), -1)
    if not np.isfinite(flat).all():
        return np.full((len(maps), 2), np.nan, np.float32), 0.0
    rows, columns = np.divmod(flat.argmax(1), MAP_SIDE)
    heat = np.log(np.maximum(maps.astype(np.float64), _LEAST_HEAT))
    heat = np.pad(heat, ((0, 0), (1, 1), (1, 1)), mode="edge")
    each = np.arange(len(maps))
    at = heat[each, rows + 1, columns + 1]
    beside = (heat[each, rows + 1, columns], heat[each, rows + 1, columns + 2])
    above = (heat[each, rows, columns + 1], heat[each, rows + 2, columns + 1])
    places = np.stack([columns + _summit(at, *beside), rows + _summit(at, *above)], 1)
    in_crop = (places + 0.5) * (CROP_SIDE / MAP_SIDE) - 0.5
    source = (in_crop - transform[:, 2]) / transform[0, 0]
    peak = float(np.clip(flat.max(1), 0.0, 1.0).mean())
    return source.astype(np.float32), peak


def _summit(at: Floats, before: Floats, after: Floats) -> Floats:
    """Where the parabola through three neighbours is highest, from the middle one: within 0.5."""
    bend = 2 * at - before - after
    shift = (after - before) / (2 * np.maximum(bend, 1e-9))
    return np.asarray(np.clip(shift, -0.5, 0.5))
