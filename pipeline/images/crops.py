"""JAA-Net's alignment of a face to a square crop, views at another scale, and crops as bytes.

The alignment is a similarity from five points (Shao et al. 2018). A view takes a turned square out
of an image and averages it, not samples, where it has fewer pixels. Crops are kept as JPEG
(default), PNG (lossless) or raw pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from ...fitting.morphable_model.landmark_scheme import REGIONS
from . import CROP_SIZE, JPEG_QUALITY
from .image_header import claimed_size

# Side of the square over the larger extent of the five points. Source: JAA-Net (Shao et al. 2018).
ENLARGEMENT = 2.9
BORDER_GREY = 128
_NOSE_TIP, _RIGHT_CORNER, _LEFT_CORNER = 30, 48, 54


def five_points(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Middle of each eye, nose tip and mouth corners.

    Parameters
    ----------
    landmarks : (68, 2) float, any unit

    Returns
    -------
    (5, 2) float64
        right eye, left eye, nose, right and left mouth corner
    """
    landmarks = np.asarray(landmarks, np.float64)
    return np.stack(
        [
            landmarks[list(REGIONS["right_eye"])].mean(0),
            landmarks[list(REGIONS["left_eye"])].mean(0),
            landmarks[_NOSE_TIP],
            landmarks[_RIGHT_CORNER],
            landmarks[_LEFT_CORNER],
        ]
    )


def alignment_transform(landmarks: ArrayLike, size: int = CROP_SIZE) -> NDArray[np.float64]:
    """The similarity from source pixels to crop pixels (JAA-Net, Shao et al. 2018).

    The eye line becomes level; the square of side 2.9 x the larger extent of the five points,
    centred on their bounding box, fills the crop, first pixel centre to last.

    Parameters
    ----------
    landmarks : (68, 2) float, source pixels
    size : side of the crop, pixels

    Returns
    -------
    (2, 3) float64

    Raises
    ------
    ValueError
        the eyes coincide or a point is not finite
    """
    points = five_points(landmarks)
    eyes = points[1] - points[0]
    distance = float(np.hypot(*eyes))
    if not np.isfinite(points).all() or distance == 0:
        raise ValueError("no alignment: the eyes coincide or a landmark is not finite")
    cosine, sine = eyes / distance
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    turned = points @ rotation.T
    low, high = turned.min(0), turned.max(0)
    half = 0.5 * ENLARGEMENT * float((high - low).max())
    scale = (size - 1) / (2.0 * half)
    shift = scale * (half - 0.5 * (low + high))
    return np.column_stack([scale * rotation, shift])


def align(image: NDArray[np.uint8], transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Cut the crop out of an image; bilinear, grey 128 beyond the image.

    Parameters
    ----------
    image : (h, w, 3) uint8
    transform : (2, 3) float64, source to crop pixels
    size : side of the crop, pixels

    Returns
    -------
    (size, size, 3) uint8
    """
    return face_view(image, transform, size, 1, BORDER_GREY)


def transform_points(points: ArrayLike, transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply an affine transform to points.

    Parameters
    ----------
    points : (..., 2) float
    transform : (2, 3) float64

    Returns
    -------
    (..., 2) float64
    """
    return np.asarray(np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2])


Image = npt.NDArray[np.uint8]
Transform = npt.NDArray[np.float64]

# Pixels around what the square shows that its border's interpolation may look at.
_MARGIN = 2


def face_view(
    image: Image,
    transform: Transform,
    side: int,
    shrink: int,
    border: int | None,
    channels: int = 3,
) -> Image:
    """Cut a turned square out of an image at another scale.

    Parameters
    ----------
    image : (h, w, 3) uint8
    transform : (2, 3) float64, similarity from source pixels to the square's; pixels' centres have
        whole coordinates
    side : of the square, pixels
    shrink : blocks of so many source pixels squared are averaged first
    border : grey level beyond the image, or None for its border to go on
    channels : 3, or 4 for one more that means nothing, which takes less time

    Returns
    -------
    (side, side, channels) uint8
    """
    if shrink > 1:
        image, transform = _shrunk(image, transform, side, shrink)
    view = _warped(image, transform, side, border)
    return view if channels == 4 else np.asarray(cv2.cvtColor(view, cv2.COLOR_RGBA2RGB), np.uint8)


def _warped(image: Image, transform: Transform, side: int, border: int | None) -> Image:
    """A square of the image, bilinear, of four channels. border: as that of `face_view`."""
    low, high = _seen_corners(transform, side)
    inside = min(low) >= 0 and high[0] <= image.shape[1] and high[1] <= image.shape[0]
    # Four channels take OpenCV less than half of the time that three do, to the same bits; so does
    # a constant border beside one that goes on, where no border is seen.
    view = cv2.warpAffine(
        _four_channels(image, low, high),
        transform,
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if border is None and not inside else cv2.BORDER_CONSTANT,
        borderValue=(border or 0,) * 4,
    )
    return np.asarray(view, np.uint8)


def _four_channels(image: Image, low: tuple[int, int], high: tuple[int, int]) -> Image:
    """The image with a fourth channel, filled from least to most x and y and not defined beyond."""
    height, width = image.shape[:2]
    left, top = min(max(low[0], 0), width - 1), min(max(low[1], 0), height - 1)
    right, bottom = min(max(high[0], left + 1), width), min(max(high[1], top + 1), height)
    wider = np.empty((height, width, 4), np.uint8)
    wider[top:bottom, left:right] = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA)
    return wider


def _seen_corners(
    transform: Transform, side: int, shrink: int = 1
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Least and most x and y that the square shows, in blocks of the image, with a margin."""
    (a, b, x), (c, d, y) = transform.tolist()
    size = (a * d - b * c) * shrink
    ends = (-0.5, side - 0.5)
    seen = [(across - x, down - y) for across in ends for down in ends]
    every_x = [(d * across - b * down) / size for across, down in seen]
    every_y = [(a * down - c * across) / size for across, down in seen]
    low = math.floor(min(every_x)) - _MARGIN, math.floor(min(every_y)) - _MARGIN
    return low, (math.ceil(max(every_x)) + _MARGIN, math.ceil(max(every_y)) + _MARGIN)


def _shrunk(image: Image, transform: Transform, side: int, shrink: int) -> tuple[Image, Transform]:
    """Averages of the image's blocks where the square lies, and the transform from them."""
    height, width = image.shape[:2]
    low, high = _seen_corners(transform, side, shrink)
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


def encode_crop(
    image: npt.NDArray[np.uint8], encoding: str = "jpeg", quality: int = JPEG_QUALITY
) -> bytes:
    """Encode a crop; the same image and options give the same bytes.

    Parameters
    ----------
    image : (size, size, 3) uint8, RGB
    encoding : one of ENCODINGS
    quality : of JPEG, 1 to 100

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        the image cannot be encoded so
    """
    if encoding == "raw":
        return np.ascontiguousarray(image).tobytes()
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if encoding == "jpeg" else []
    suffix = {"jpeg": ".jpg", "png": ".png"}[encoding]
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    if not done:
        raise ValueError(f"image of shape {image.shape} cannot be encoded as {encoding}")
    return data.tobytes()


def decode_crop(
    data: npt.NDArray[np.uint8], encoding: str, size: int
) -> npt.NDArray[np.uint8] | None:
    """Decode the crop that `encode_crop` made.

    Parameters
    ----------
    data : (k,) uint8, its bytes
    encoding : one of ENCODINGS
    size : side of the crop, pixels

    Returns
    -------
    (size, size, 3) uint8 or None
        RGB; None where it is damaged
    """
    if encoding == "raw":
        if data.size != size * size * 3:
            return None
        return np.array(data, np.uint8).reshape(size, size, 3)
    # An image of a few bytes may claim any size; only one of the right size is decoded.
    if claimed_size(data.tobytes()) != (size, size):
        return None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    if image is None or image.shape != (size, size, 3):
        return None
    return np.asarray(image, dtype=np.uint8)
