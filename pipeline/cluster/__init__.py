"""Where tasks run, and their outcomes as they come; nothing here knows of faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .cluster import Cluster, available_cores, open_cluster
    from .options import ClusterOptions, read_cluster_options, stage_cluster_options
    from .queue_cluster import job_script
    from .tasks import Outcome

__all__ = [
    "Cluster",
    "ClusterOptions",
    "Outcome",
    "available_cores",
    "job_script",
    "open_cluster",
    "read_cluster_options",
    "stage_cluster_options",
]

load_when_asked(
    __name__,
    {
        "cluster": ("Cluster", "available_cores", "open_cluster"),
        "options": ("ClusterOptions", "read_cluster_options", "stage_cluster_options"),
        "queue_cluster": ("job_script",),
        "tasks": ("Outcome",),
    },
)
