"""One chunk's HDF5 file: whole or absent, checked when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .content import REASONS, EmbedArrays, FitArrays, FrameArrays, ShardHeader
    from .shard import (
        Shard,
        add_embed,
        add_fit,
        content_digest,
        list_shards,
        read_shard,
        shard_path,
        write_shard,
    )

__all__ = [
    "EmbedArrays",
    "FitArrays",
    "FrameArrays",
    "REASONS",
    "Shard",
    "ShardHeader",
    "add_embed",
    "add_fit",
    "content_digest",
    "list_shards",
    "read_shard",
    "shard_path",
    "write_shard",
]

load_when_asked(
    __name__,
    {
        "content": ("REASONS", "EmbedArrays", "FitArrays", "FrameArrays", "ShardHeader"),
        "shard": (
            "Shard",
            "add_embed",
            "add_fit",
            "content_digest",
            "list_shards",
            "read_shard",
            "shard_path",
            "write_shard",
        ),
    },
)
