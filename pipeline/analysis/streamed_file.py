"""A file that grows while it is written and takes its final name only when it is whole."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...whole_files import TEMPORARY_SUFFIX, replaced_when_whole


@contextmanager
def streamed_file(path: Path) -> Iterator[Path]:
    """The temporary path to write to; it is synchronised and renamed to `path` at the end.

    Where the block raises, the temporary file is removed and `path` stays as it was.

    Raises OutputError where the folder or file cannot be written (permissions, full disk).
    """
    # The suffix last but one stays the file's own: video writers choose the container by it.
    writer = f"{socket.gethostname()}.{os.getpid()}"
    temporary = path.with_name(f".{path.stem}.{writer}{TEMPORARY_SUFFIX}{path.suffix}")
    with replaced_when_whole(path, temporary):
        _remove_what_dead_runs_left(path)
        yield temporary


def _remove_what_dead_runs_left(path: Path) -> None:
    """Temporary files of this one, of processes of this machine that are no more."""
    head, tail = f".{path.stem}.{socket.gethostname()}.", f"{TEMPORARY_SUFFIX}{path.suffix}"
    for other in path.parent.iterdir():
        if other.name.startswith(head) and other.name.endswith(tail):
            process = other.name[len(head) : -len(tail)]
            if process.isdecimal() and not _runs(int(process)):
                with suppress(OSError):
                    other.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
