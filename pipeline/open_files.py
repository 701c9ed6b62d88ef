"""The system's limit of open files, raised to what is needed or refused in words."""

from __future__ import annotations

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

from ..errors import ClusterError


def allow_open_files(needed: int) -> None:
    """Raise this process's limit of open files to what a local cluster needs.

    Raises ClusterError where the system does not allow as many.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise ClusterError(
            f"at most {hard} open files are allowed, these workers need {needed}; "
            f"give fewer workers, or allow more with `ulimit -n {needed}`"
        ) from None
