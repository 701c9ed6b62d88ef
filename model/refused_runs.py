"""A training run that is refused before its first step leaves no folder that looks like a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import GleeError


@contextmanager
def withdrawn_where_refused(run: Path, stated: tuple[str, ...], *, leads: bool) -> Iterator[None]:
    """Remove what a run states of itself where it ends in a GleeError and trained nothing.

    run: its folder. stated: names of the files that are written before training; those that were
    there already stay. leads: whether this process writes the files.
    """
    was_there = run.exists()
    new = [run / name for name in stated if not (run / name).exists()]
    try:
        yield
    except GleeError:
        files = [path for path in run.rglob("*") if path.is_file()]
        if leads and new and set(files) <= set(new):
            for path in files:
                path.unlink()
            folders = [path for path in run.rglob("*") if path.is_dir()]
            for folder in sorted(folders, reverse=True):
                folder.rmdir()
            if not was_there and run.exists():
                run.rmdir()
        raise
