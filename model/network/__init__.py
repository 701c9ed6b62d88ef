"""GLEE-Net, one file a branch, named as in the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .au_classifier import AUPrediction
    from .build_glee_net import build_glee_net, flop_count, load_facenet, parameter_count
    from .config import ABLATIONS, PRESETS, GLEENetConfig, preset_config
    from .glee_net import GLEENet

__all__ = [
    "ABLATIONS",
    "AUPrediction",
    "GLEENet",
    "GLEENetConfig",
    "PRESETS",
    "build_glee_net",
    "flop_count",
    "load_facenet",
    "parameter_count",
    "preset_config",
]

load_when_asked(
    __name__,
    {
        "au_classifier": ("AUPrediction",),
        "build_glee_net": ("build_glee_net", "flop_count", "load_facenet", "parameter_count"),
        "config": ("ABLATIONS", "PRESETS", "GLEENetConfig", "preset_config"),
        "glee_net": ("GLEENet",),
    },
)
