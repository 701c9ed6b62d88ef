"""The mark of rendered people: a work folder made from `glee synth` data says so for good.

Figures on rendered faces must never pass for figures on a dataset whose layout they imitate.
"""

from __future__ import annotations

from pathlib import Path

from ..whole_files import write_whole

MARK_FILE = "SYNTHETIC"
_TRUTH_FOLDER = "truth"
_TEXT = b"These shards show rendered people, written by `glee synth`, not the dataset's.\n"


def carry_mark(root: Path, work: Path) -> None:
    """Mark a work folder where its dataset has the truth beside it that only `glee synth` writes.

    Raises OutputError where the mark cannot be written.
    """
    if any((Path(root) / _TRUTH_FOLDER).glob("*.h5")) and not is_synthetic(work):
        write_whole(Path(work) / MARK_FILE, _TEXT)


def is_synthetic(work: Path) -> bool:
    """Whether a work folder carries the mark."""
    return (Path(work) / MARK_FILE).exists()
