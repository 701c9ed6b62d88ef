"""A CSV file that grows row by row and is flushed with every block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO


class TextTable:
    """Rows of a CSV file in a fixed format.

    columns: name and printf format of each. missing: what stands for NaN. path: written to from the
    start; whoever makes the table renames it.
    """

    def __init__(self, path: Path, columns: Sequence[tuple[str, str]], missing: str = "") -> None:
        self._formats = tuple(form for _, form in columns)
        self._missing = missing
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(name for name, _ in columns) + "\n")
        self._file.flush()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows and hand them to the system. Raises OSError where there is no room."""
        for row in rows:
            # NaN alone is not equal to itself.
            cells = (
                form % value if value == value else self._missing  # noqa: PLR0124
                for form, value in zip(self._formats, row, strict=True)
            )
            self._file.write(",".join(cells) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
