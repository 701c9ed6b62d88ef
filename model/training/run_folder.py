"""What a training run's folder states of its data, and its removal where the run is refused.

split.json holds the folds, data.json the number of frames and a hash of them. A run that is refused
before its first step leaves no folder that looks like a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import GleeError, OptionsError
from ...whole_files import write_whole
from ..data.au_dataset import AUFrames
from ..data.folds import Split

SPLIT_FILE = "split.json"
DATA_FILE = "data.json"


def write_data(run: Path, frames: AUFrames, split: Split) -> None:
    """Write what a run learns from once, or check that a run to go on with has the same.

    Parameters
    ----------
    run : Path
        The run's folder.
    frames : AUFrames
        All frames of the work folder.
    split : Split
        Fold name -> its test subjects.

    Raises
    ------
    OptionsError
        Where the folder was trained on other frames or folds.
    OutputError
        Where it cannot be written.
    """
    data = {"frames": len(frames), "sha256": frames.fingerprint}
    for file, content in ((SPLIT_FILE, split), (DATA_FILE, data)):
        text = json.dumps(content, indent=1).encode()
        path = run / file
        if path.exists() and path.read_bytes() != text:
            raise OptionsError(
                f"{run}: was trained on other frames, labels, f_exp or folds ({file} differs); "
                "choose another folder"
            )
        write_whole(path, text)


@contextmanager
def remove_if_refused(run: Path, stated: tuple[str, ...], *, leads: bool) -> Iterator[None]:
    """Remove what a run states of itself where it ends in a GleeError and trained nothing.

    Parameters
    ----------
    run : Path
        Its folder.
    stated : tuple of str
        Names of the files that are written before training; those that were there already stay.
    leads : bool
        Whether this process writes the files.
    """
    existed = run.exists()
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
            if not existed and run.exists():
                run.rmdir()
        raise
