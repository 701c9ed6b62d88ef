"""A file that grows while it is written and takes its final name only when it is whole."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import OutputError
from ...whole_files import TEMPORARY_SUFFIX


@contextmanager
def streamed_file(path: Path) -> Iterator[Path]:
    """The temporary path to write to; it is synchronised and renamed to `path` at the end.

    Where the block raises, the temporary file is removed and `path` stays as it was.

    Raises OutputError where the folder or file cannot be written (permissions, full disk).
    """
    # The suffix last but one stays the file's own: video writers choose the container by it.
    writer = f"{socket.gethostname()}.{os.getpid()}"
    temporary = path.with_name(f".{path.stem}.{writer}{TEMPORARY_SUFFIX}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_what_dead_runs_left(path)
        yield temporary
        _synchronise(temporary)
        temporary.replace(path)
    except OSError as error:
        _remove_quietly(temporary)
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free space or choose a folder that can be written"
        ) from error
    except BaseException:
        _remove_quietly(temporary)
        raise


def _remove_what_dead_runs_left(path: Path) -> None:
    """Temporary files of this one, of processes of this machine that are no more."""
    head, tail = f".{path.stem}.{socket.gethostname()}.", f"{TEMPORARY_SUFFIX}{path.suffix}"
    for other in path.parent.iterdir():
        if other.name.startswith(head) and other.name.endswith(tail):
            process = other.name[len(head) : -len(tail)]
            if process.isdecimal() and not _runs(int(process)):
                _remove_quietly(other)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_quietly(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
