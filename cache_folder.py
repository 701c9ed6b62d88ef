"""Where compiled kernels are kept when neither the package's folder nor the home can be written.

Numba would refuse to work there, as in a container whose file systems are read-only.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def choose_cache_folder(package: Path) -> None:
    """Set NUMBA_CACHE_DIR, for this process and its workers, to a temporary folder if need be.

    To be called before Numba is imported. A folder that the user gave stays.

    Parameters
    ----------
    package : glee's own folder
    """
    if os.environ.get(VARIABLE) or _writable(package / "fitting" / "__pycache__"):
        return
    if _writable(_cache_of_user()):
        return
    try:
        os.environ[VARIABLE] = str(_own_temporary_folder())
    except OSError:
        # Not even a temporary folder: Numba's own message says what it lacks.
        return


def _cache_of_user() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    except RuntimeError:  # a user without a home
        return Path("/nonexistent")


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is missing."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _own_temporary_folder() -> Path:
    """The same one in every process of a user; code is loaded from it, so it is theirs alone."""
    if not hasattr(os, "getuid"):
        return Path(tempfile.mkdtemp(prefix="glee-kernels-"))
    folder = Path(tempfile.gettempdir()) / f"glee-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if private and not stat.S_IMODE(found.st_mode) & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="glee-kernels-"))
