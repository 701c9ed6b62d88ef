"""A progress bar on stderr with rate and remaining time; none where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm


class Progress(Protocol):
    """Something that counts what is done."""

    def update(self, n: float = 1) -> object:
        """n more are done."""


@contextmanager
def progress_bar(label: str, total: int, unit: str, *, shown: bool = True) -> Iterator[Progress]:
    """A bar for `total` units; `shown` False switches it off on a terminal too."""
    disable = None if shown else True
    with tqdm(total=total, desc=label, unit=unit, disable=disable, smoothing=0.1) as bar:
        yield bar
