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
