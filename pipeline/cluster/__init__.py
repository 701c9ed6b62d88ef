"""Where tasks run, and their outcomes as they come. Nothing here knows of faces.

The public names below are loaded when they are first asked for: reading the table [cluster] loads
neither OpenCV nor Dask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "Cluster": "cluster",
    "ClusterOptions": "options",
    "Outcome": "tasks",
    "available_cores": "cluster",
    "job_script": "queue_cluster",
    "open_cluster": "cluster",
    "read_cluster_options": "options",
    "stage_cluster_options": "options",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
