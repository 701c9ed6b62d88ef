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
        self._format = ",".join(form for _, form in columns) + "\n"
        self._missing = missing
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(name for name, _ in columns) + "\n")
        self._file.flush()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows and hand them to the system. Raises OSError where there is no room."""
        for row in rows:
            line = self._format % tuple(row)
            if "nan" in line:
                cells = line.rstrip("\n").split(",")
                line = ",".join(self._missing if c == "nan" else c for c in cells) + "\n"
            self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
