"""What runs the networks of the `mesh` detector: ncnn on a CPU; torch on a GPU, or to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .....public_names import load_when_asked

if TYPE_CHECKING:
    from .ncnn_engine import NcnnEngine
    from .torch_engine import TorchEngine

__all__ = ["NcnnEngine", "TorchEngine"]

load_when_asked(__name__, {"ncnn_engine": ("NcnnEngine",), "torch_engine": ("TorchEngine",)})
