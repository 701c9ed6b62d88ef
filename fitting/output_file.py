"""Writes a file of the fitting floor whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import OutputError


def write_file(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, synchronise it, and rename it over `path`.

    Raises OutputError where the folder or file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free space or choose a folder that can be written"
        ) from error
