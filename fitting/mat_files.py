"""MATLAB files of level 5, read by scipy in a process of its own, which damaged bytes can end.

That process leaves the arrays as an .npz in a temporary folder, which this one opens. It is a
program (``python -m glee.fitting.mat_files FILE COPY``) and not a worker of `multiprocessing`: a
worker would run a user's main script again, and a pool waits for ever for one that died.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import DataError
from .array_files import MOST_PACKED, NpzFile, one_line

# What the process may take: bytes of address space, and seconds.
MEMORY = 16 << 30
SECONDS = 600
_LEVEL_7_3 = 73  # its exit status for a file of that level


@contextmanager
def open_mat(path: Path) -> Iterator[NpzFile]:
    """The variables of a MATLAB file of level 5 (``-v7`` and before) to read.

    Parameters
    ----------
    path : of the file

    Raises
    ------
    DataError
        it is none, is damaged, or of level 7.3
    """
    with tempfile.TemporaryDirectory(prefix="glee-mat-") as folder:
        copy = Path(folder) / "arrays.npz"
        _read_mat_elsewhere(path, copy)
        with zipfile.ZipFile(copy) as archive:
            yield NpzFile(path, archive)


def _read_mat_elsewhere(path: Path, copy: Path) -> None:
    """Run `_copy_mat` in another process; its failure, or its end, is one DataError."""
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-m", __name__, str(path), str(copy)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
            timeout=SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"it takes more than {SECONDS} s"
    else:
        if done.returncode == 0:
            return
        if done.returncode == _LEVEL_7_3:
            raise DataError(
                f"{path}: is a MATLAB 7.3 file; save it with the option '-v7' and import that"
            )
        said = " ".join(done.stderr.split())
        if done.returncode < 0:
            said = f"its bytes ended the reader: {signal.Signals(-done.returncode).name}"
        reason = said or f"the reader ended with status {done.returncode}"
    raise DataError(f"{path}: cannot be read as a MATLAB .mat file ({reason[:300]})")


def _copy_mat(path: Path, copy: Path) -> None:
    """Write the variables of a MATLAB file as an .npz.

    What is no plain array (a cell, a structure, a sparse matrix) becomes text that says so, so that
    `numbers` refuses it by its name.
    """
    from scipy.io import loadmat, whosmat

    claimed = sum(math.prod(shape) for _, shape, _ in whosmat(path))
    if claimed > MOST_PACKED * path.stat().st_size:
        raise ValueError(f"{claimed:,} values in a file of {path.stat().st_size:,} bytes")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, value in loadmat(path).items():
            plain = isinstance(value, np.ndarray) and value.dtype.kind in "fiubcUS"
            array = value if plain else np.array(type(value).__name__)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _main(path: str, copy: str) -> None:
    """What the process of `open_mat` does; a reason is the only thing on stderr."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        _copy_mat(Path(path), Path(copy))
    except NotImplementedError:
        sys.exit(_LEVEL_7_3)
    except Exception as error:  # scipy raises anything for damaged bytes
        sys.exit(one_line(error))


if __name__ == "__main__":
    _main(*sys.argv[1:])
