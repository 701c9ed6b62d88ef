"""`glee verify`: is a dataset's folder, or a work folder's shards, what it should be?"""

from __future__ import annotations

from .dataset import verify_dataset
from .report import AUCount, Problem, SubjectCount, Verification
from .shards import verify_shards

__all__ = ["AUCount", "Problem", "Verification", "SubjectCount", "verify_dataset", "verify_shards"]
