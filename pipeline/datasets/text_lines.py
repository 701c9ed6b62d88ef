"""Lines and numbers of text files that others wrote: sizes checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError

# A label file has one short line a frame; a larger file is something else.
MAXIMUM_LABEL_BYTES = 64 << 20
# No line of a table is longer; what is, is returned in pieces.
MAXIMUM_LINE = 1 << 16
_WHOLE = re.compile(r"\s*\d{1,9}\s*", re.ASCII)


def label_lines(path: Path, *, missing: str) -> list[str]:
    """The lines of a small ASCII file, blank ones at its end left out.

    missing: what to say, after the path, where there is no such file.

    Raises DataError where it is missing, too large, not ASCII or cannot be read.
    """
    try:
        if path.stat().st_size > MAXIMUM_LABEL_BYTES:
            raise DataError(f"{path}: too large for a label file; get the file again")
        if not path.is_file():
            raise DataError(f"{path}: is no file; get the label file again")
        text = path.read_text(encoding="ascii").removeprefix("\ufeff").rstrip()
        return text.splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: label file is missing; {missing}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: label file cannot be read ({error}); get it again") from None


def table_lines(path: Path) -> Iterator[str]:
    """The lines of a large text file, one at a time, whatever its bytes.

    A line of more than MAXIMUM_LINE bytes comes in pieces, so that memory stays bounded.

    Raises DataError where the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            while line := file.readline(MAXIMUM_LINE):
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); get the file again") from None


def whole_number(text: str) -> int | None:
    """The number that a text of at most nine digits is, else None."""
    return int(text) if _WHOLE.fullmatch(text) else None
