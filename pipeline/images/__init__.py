"""Pixels: frames read in order and in place, faces cut, aligned, encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .crops import (
        align,
        alignment_transform,
        decode_crop,
        encode_crop,
        face_view,
        transform_points,
    )
    from .frames import FrameIndex, index_frames, read_frames, read_image
    from .image_header import claimed_size

__all__ = [
    "CROP_SIZE",
    "ENCODINGS",
    "JPEG_QUALITY",
    "FrameIndex",
    "align",
    "alignment_transform",
    "claimed_size",
    "decode_crop",
    "encode_crop",
    "face_view",
    "index_frames",
    "read_frames",
    "read_image",
    "transform_points",
]

# How crops are stored: lossy, lossless, or as plain pixels.
ENCODINGS = ("jpeg", "png", "raw")
# The least that moves no landmark by 0.3 pixels of the crop on average; see the table in
# docs/benchmarks.md. Chroma at half size (4:2:0) costs the landmarks less than quality does.
JPEG_QUALITY = 93
CROP_SIZE = 200  # pixels on a side

load_when_asked(
    __name__,
    {
        "crops": (
            "align",
            "alignment_transform",
            "decode_crop",
            "encode_crop",
            "face_view",
            "transform_points",
        ),
        "frames": ("FrameIndex", "index_frames", "read_frames", "read_image"),
        "image_header": ("claimed_size",),
    },
)
