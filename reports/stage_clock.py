"""How long each stage of the demo took, kept beside what it made."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..whole_files import write_whole

logger = logging.getLogger(__name__)


class StageClock:
    """Wall-clock seconds by stage; a stage that had finished in an earlier call keeps its own.

    path: JSON file of the seconds. A demo that goes on only checks the stages that are done, which
    says nothing of how long they take.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = _read(path)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what runs inside, if it ends well."""
        logger.info("%s ...", name)
        begin = time.monotonic()
        yield
        if name not in self._seconds:
            self._seconds[name] = round(time.monotonic() - begin, 2)
            write_whole(self._path, json.dumps(self._seconds, indent=1).encode())

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, in their order, and `total`."""
        return {**self._seconds, "total": round(sum(self._seconds.values()), 2)}


def _read(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text())
        return {str(name): float(value) for name, value in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
