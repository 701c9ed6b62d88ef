"""Images brought to the size that a branch works at."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def resize(image: Tensor, size: int) -> Tensor:
    """Bilinear, low-passed where it shrinks: (b, c, h, w) float -> (b, c, size, size)."""
    if image.shape[-2:] == (size, size):
        return image
    return functional.interpolate(
        image, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
