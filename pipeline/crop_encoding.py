"""Crops as bytes and back: JPEG (default), PNG (lossless) or raw pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .images.image_header import claimed_size

ENCODINGS = ("jpeg", "png", "raw")
# Of JPEG: the least that moves no landmark by 0.3 pixels of the crop on average; see the table in
# docs/benchmarks.md. Chroma at half size (4:2:0) costs the landmarks less than quality does.
QUALITY = 93


def encode_crop(
    image: npt.NDArray[np.uint8], encoding: str = "jpeg", quality: int = QUALITY
) -> bytes:
    """Bytes of a crop; the same image and options give the same bytes.

    image: (size, size, 3) uint8, RGB. encoding: one of ENCODINGS. quality: of JPEG, 1 to 100.
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
    """The crop that `encode_crop` made: (size, size, 3) uint8, RGB; None where it is damaged."""
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
