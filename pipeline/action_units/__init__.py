"""Action Units estimated from f_exp over the person's own baseline, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .clip_estimates import ClipEstimates
    from .estimate import SOURCE, AUEstimates, estimate
    from .readings import AUReadings, au_readings

__all__ = ["SOURCE", "AUEstimates", "AUReadings", "ClipEstimates", "au_readings", "estimate"]

load_when_asked(
    __name__,
    {
        "clip_estimates": ("ClipEstimates",),
        "estimate": ("SOURCE", "AUEstimates", "estimate"),
        "readings": ("AUReadings", "au_readings"),
    },
)
