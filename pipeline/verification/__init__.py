"""`glee verify`: is a dataset's folder, or a work folder's shards, what it should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .dataset import verify_dataset
    from .report import AUCount, Problem, SubjectCount, Verification
    from .shards import verify_shards

__all__ = [
    "AUCount",
    "Problem",
    "SubjectCount",
    "Verification",
    "verify_dataset",
    "verify_shards",
]

load_when_asked(
    __name__,
    {
        "dataset": ("verify_dataset",),
        "report": ("AUCount", "Problem", "SubjectCount", "Verification"),
        "shards": ("verify_shards",),
    },
)
