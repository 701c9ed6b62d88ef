"""One chunk's HDF5 file: whole or absent, checked when it is read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

# Loaded when they are first asked for: importing one module of this folder imports no other.
_HOMES = {
    "EmbedArrays": "content",
    "FitArrays": "content",
    "FrameArrays": "content",
    "REASONS": "content",
    "Shard": "shard",
    "ShardHeader": "content",
    "add_embed": "shard",
    "add_fit": "shard",
    "content_digest": "shard",
    "list_shards": "shard",
    "read_shard": "shard",
    "shard_path": "shard",
    "write_shard": "shard",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
