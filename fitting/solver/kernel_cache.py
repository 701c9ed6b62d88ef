"""Compiles the fit's kernels once for all processes, so that every process runs the same code.

Numba compiles a kernel in the process that first calls it, and what it fuses then depends on which
other kernels that process already had: sums differ in their last bits between the process that
compiled and those that load its result. Therefore processes of their own compile all of them from
nothing, under a lock, and everyone loads what they left. There are two, side by side: the fit of
frames takes as long as all the rest. Sources that changed are compiled again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba

from . import levenberg_marquardt, linear_algebra

logger = logging.getLogger(__name__)

COMPILING = "GLEE_COMPILING_KERNELS"
SECONDS = 1800
# What the two processes compile.
FRAMES, REST = "frames", "rest"
_OWN_FOLDER = "glee-compiling-"
_FITTING = Path(__file__).parents[1]


@cache
def ensure_compiled() -> None:
    """Return when the kernels are compiled; where they cannot be kept, do nothing.

    Called before the first kernel of a process runs.
    """
    if os.environ.get(COMPILING):
        return
    folder = _cache_folder()
    if folder is None:
        return
    marker = folder / f"glee-kernels-{_fingerprint()}"
    try:
        if not _is_there(marker):
            with _locked(folder / "glee-kernels.lock"):
                if not _is_there(marker):
                    _compile(folder)
                    marker.touch()
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("kernels are compiled in each process (%s)", str(error).splitlines()[0])
        return
    _load()


def _load() -> None:
    """Load all that are called from Python, in one order.

    What two kernels call is compiled into either, with other last bits; a process takes it from the
    kernel that it loaded first.
    """
    from . import frame_quadratics, temporal, uncertainty

    outermost: tuple[Any, ...] = (
        levenberg_marquardt.KERNEL,
        uncertainty.KERNEL,
        linear_algebra.minimise,
        frame_quadratics.MINIMISE,
        frame_quadratics.DEVIATIONS,
        temporal.KERNEL,
    )
    for kernel in outermost:
        cache, codegen = kernel._cache, kernel.targetctx.codegen()
        for key in sorted(cache._cache_file._load_index(), key=str):
            if key == cache._index_key(key[0], codegen):
                kernel.compile(key[0])


def _is_there(marker: Path) -> bool:
    """Whether the kernels were compiled, and not removed since."""
    kept = marker.parent.glob(f"{_stem(levenberg_marquardt.KERNEL.py_func)}*.nbi")
    return marker.exists() and any(kept)


def _folders() -> set[Path]:
    """Where Numba keeps the kernels of the solver: for each folder of sources another."""
    found = map(_kept_in, (levenberg_marquardt.KERNEL, linear_algebra.cholesky))
    return {Path(path) for path in found if path is not None}


def _kept_in(kernel: Any) -> str | None:
    return getattr(getattr(kernel, "_cache", None), "cache_path", None)


def _cache_folder() -> Path | None:
    """Where Numba keeps the outermost kernel; None where it keeps none."""
    path = _kept_in(levenberg_marquardt.KERNEL)
    if path is None:
        return None
    folder = Path(path)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if folder.is_dir() else None


def _fingerprint() -> str:
    """A digest of the kernels' sources and of what compiles them."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    digest.update(llvmlite.binding.get_host_cpu_name().encode())
    for source in sorted(_FITTING.rglob("*.py")):
        # Numba takes what it kept of a source for stale by the time at which it was written.
        digest.update(f"{source.stat().st_mtime_ns} ".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(folder: Path) -> None:
    logger.info("compiling the kernels of the fit, once: about half a minute on two cores")
    stems = {source.stem for source in _FITTING.rglob("*.py")}
    # All of them: Numba looks at a kernel's own source alone, not at those that it calls.
    for old in [path for own in _folders() for path in own.glob("*.nb[ic]")]:
        if old.name.split(".")[0] in stems:
            old.unlink(missing_ok=True)
    for old in folder.glob("glee-kernels-*"):
        old.unlink(missing_ok=True)
    # Of one that was killed.
    for left in folder.glob(f"{_OWN_FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    # Both compile what the fit is made of, and Numba's index of a function has no lock. So the one
    # has a folder of its own, from which only the outermost kernel is taken.
    with tempfile.TemporaryDirectory(dir=folder, prefix=_OWN_FOLDER) as own:
        frames = _start(FRAMES, own)
        rest = _start(REST)
        try:
            for process in (frames, rest):
                _wait(process)
        finally:
            for process in (frames, rest):
                process.kill()
                process.communicate()
        function = levenberg_marquardt.KERNEL.py_func
        for made in Path(own).rglob(f"{_stem(function)}*.nb[ic]"):
            made.replace(folder / made.name)


def _stem(function: Callable[..., Any]) -> str:
    """How the names of a function's files begin."""
    return f"{function.__module__.rsplit('.', 1)[-1]}.{function.__qualname__}-"


def _start(part: str, folder: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "glee.fitting.compile_kernels", part],
        # It imports what this process does, and nothing of the current folder.
        env={
            **os.environ,
            **({"NUMBA_CACHE_DIR": folder} if folder else {}),
            COMPILING: "1",
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait(process: subprocess.Popen[str]) -> None:
    said = process.communicate(timeout=SECONDS)[1]
    if process.returncode:
        last = (said.strip().splitlines() or [f"exit {process.returncode}"])[-1]
        raise subprocess.SubprocessError(last)
