"""Files that are whole or absent: written beside their name, synchronised, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

TEMPORARY_SUFFIX = ".partial"
# The longest name of a file on Linux, macOS and Windows, bytes.
_LONGEST = 255


def write_whole(path: Path, *content: bytes | memoryview) -> None:
    """Write a file so that a reader, or a killed run, sees all of it or nothing.

    The bytes go to a temporary file in the same folder (its name carries host and process), are
    synchronised to disk, and the file is renamed over `path`; then the folder is synchronised.

    Parameters
    ----------
    path : the file
    content : its bytes, in one or several parts

    Raises
    ------
    OutputError
        the folder or file cannot be written (permissions, full disk); the temporary file is removed
    """
    with replaced_when_whole(path, temporary_beside(path)) as it, it.open("wb") as file:
        file.writelines(content)


def temporary_beside(path: Path, ending: str = "") -> Path:
    """Name a temporary file in a file's folder, by the file, this host and this process.

    Parameters
    ----------
    path : the file
    ending : what the name ends in, for writers that look at it

    Returns
    -------
    Path
        of a name that is not too long, however long the file's own is
    """
    end = f".{socket.gethostname()}.{os.getpid()}{TEMPORARY_SUFFIX}{ending}"
    name = path.name
    if len(os.fsencode(f".{name}{end}")) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.with_name(f".{name}{end}")


@contextmanager
def replaced_when_whole(path: Path, temporary: Path) -> Iterator[Path]:
    """Give a temporary file to write to that replaces `path` in the end.

    It is synchronised and renamed, then the folder is synchronised. Where the block raises, it is
    removed and `path` stays as it was.

    Parameters
    ----------
    path : the file
    temporary : in the same folder

    Yields
    ------
    Path
        the temporary file

    Raises
    ------
    OutputError
        as `write_whole`
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _synchronise(temporary)
        temporary.replace(path)
        _synchronise_folder(path.parent)
    except OSError as error:
        _remove_quietly(temporary)
        too_long = error.errno == errno.ENAMETOOLONG
        remedy = "free space or choose a folder that can be written"
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; "
            f"{'give its source a shorter name' if too_long else remedy}"
        ) from error
    except BaseException:
        _remove_quietly(temporary)
        raise


def remove_temporaries(folder: Path) -> int:
    """Remove temporary files that a killed run left.

    Parameters
    ----------
    folder : below which they are looked for

    Returns
    -------
    int
        how many were removed

    Raises
    ------
    OutputError
        one cannot be removed, or a folder not be looked into
    """
    count = 0
    try:
        left = sorted(folder.rglob(f".*{TEMPORARY_SUFFIX}"))
    except OSError as error:
        raise OutputError(
            f"cannot look into {error.filename or folder}: {error.strerror or error}; allow more "
            "open files with `ulimit -n`, or ask for the right to read it"
        ) from error
    for temporary in left:
        try:
            temporary.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {temporary}: {error.strerror or error}") from error
        count += 1
    return count


def _synchronise_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut; systems without folder handles skip it."""
    if os.name == "posix":
        _synchronise(folder)


def _synchronise(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
