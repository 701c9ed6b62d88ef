"""Who may speak to a run's scheduler and workers: only those who hold the run's own key.

A Dask scheduler runs what it is sent, and a port of a machine is open to all of its users. So each
run makes a key and a certificate of its own (TLS, both sides show it), which end with the run. Jobs
of a queue read them from files that only their user can read. Pages by HTTP, which have no key, are
on the loopback interface and empty; with `dashboard = true` the scheduler's has its pages, still
on the loopback interface: an SSH tunnel leads there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import ClusterError

LOOPBACK = "127.0.0.1:0"
# Every page tells a stranger something: files' names, the log, what runs.
NO_PAGES: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
# How a job's worker learns what its certificates are: Dask reads its configuration from these.
_VARIABLES = {
    "tls_ca_file": "DASK_DISTRIBUTED__COMM__TLS__CA_FILE",
    "tls_worker_cert": "DASK_DISTRIBUTED__COMM__TLS__WORKER__CERT",
    "tls_worker_key": "DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY",
}


def run_security() -> Any:
    """Make the key and the certificate of one run.

    Returns
    -------
    distributed.Security
        That requires encryption and this certificate of all sides; nothing of it is on disk.
    """
    security: Any = import_module("distributed").Security
    return security.temporary()


@contextmanager
def certificate_files(security: Any, folder: Path) -> Iterator[list[str]]:
    """Write what the workers of jobs need, in files that only this user reads.

    Parameters
    ----------
    security : distributed.Security
        Of the run.
    folder : Path
        That the jobs' nodes see; made where it is missing.

    Yields
    ------
    list of str
        Shell lines of a job that name the files. The files are removed at the end.

    Raises
    ------
    ClusterError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix=".run-key-", dir=folder.resolve()))  # mode 0700
    except OSError as error:
        raise ClusterError(
            f"{folder}: the run's key cannot be written there ({error.strerror}); give a "
            "log_folder that the nodes see"
        ) from None
    try:
        lines = []
        for name, variable in _VARIABLES.items():
            path = own / name.removeprefix("tls_")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(getattr(security, name))
            lines.append(f"export {variable}={shlex.quote(str(path))}")
        yield lines
    finally:
        shutil.rmtree(own, ignore_errors=True)
