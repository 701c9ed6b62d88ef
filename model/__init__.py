"""GLEE-Net. On this floor lie what its four rooms share: options, checkpoints, processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..public_names import load_when_asked

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, load_checkpoint, load_expression, save_checkpoint
    from .distributed import World, choose_device, joined_world
    from .options import Schedule, TrainOptions, pretrain_options, train_options

__all__ = [
    "Checkpoint",
    "Schedule",
    "TrainOptions",
    "World",
    "choose_device",
    "joined_world",
    "load_checkpoint",
    "load_expression",
    "pretrain_options",
    "save_checkpoint",
    "train_options",
]

load_when_asked(
    __name__,
    {
        "checkpoint": ("Checkpoint", "load_checkpoint", "load_expression", "save_checkpoint"),
        "distributed": ("World", "choose_device", "joined_world"),
        "options": ("Schedule", "TrainOptions", "pretrain_options", "train_options"),
    },
)
