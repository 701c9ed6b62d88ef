"""The `mesh` detector: MediaPipe's face detector and face mesh of 2023, run by ncnn or torch.

Weights: mesh_weights.npz, converted by tools/convert_mesh_weights.py from MediaPipe's bundle
face_landmarker.task (Apache-2.0, Google LLC). Nothing here imports torch before the detector is
loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....public_names import load_when_asked

if TYPE_CHECKING:
    from .backend import MeshDetector

__all__ = ["MeshDetector"]

load_when_asked(__name__, {"backend": ("MeshDetector",)})
