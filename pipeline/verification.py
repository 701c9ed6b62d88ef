"""`glee verify`: is a dataset's folder, or a work folder's shards, what it should be?"""

from __future__ import annotations

from .dataset_verification import verify_dataset
from .shard_verification import verify_shards
from .verification_report import AUCount, Problem, Report, SubjectCount

__all__ = ["AUCount", "Problem", "Report", "SubjectCount", "verify_dataset", "verify_shards"]
