"""A work folder with some of the people of another."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def part_of(work: Path, people: Iterable[str], folder: Path) -> Path:
    """`folder`, with the people's shards; what is there already stays."""
    for name in people:
        if not (folder / "shards" / name).exists():
            shutil.copytree(work / "shards" / name, folder / "shards" / name)
    return folder
