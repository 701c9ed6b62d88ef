"""The kind of processor that a result was computed on, as far as it can change a last digit.

Numba compiles for the processor at hand, and OpenBLAS, NumPy and torch choose among codes of their
own; each adds the terms of a sum in another order. Results are the same byte for byte where all of
these are the same, so shards state them in one short line.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


@cache
def processor_kind() -> str:
    """Name what of this machine's processor chooses between codes.

    Returns
    -------
    str
        Such as "x86_64, Numba znver4, OpenBLAS SkylakeX, NumPy AVX512_ICL"; the same on every
        machine of that kind, without names, numbers or loads of the machine.
    """
    parts = [platform.machine() or "unknown"]
    llvm: Any = import_module("llvmlite.binding")
    parts.append(f"Numba {os.environ.get('NUMBA_CPU_NAME') or llvm.get_host_cpu_name()}")
    parts += [f"OpenBLAS {kernel}" for kernel in _blas_kernels()]
    parts.append(f"NumPy {_numpy_level()}")
    forced = os.environ.get("ATEN_CPU_CAPABILITY")
    return ", ".join([*parts, f"torch {forced}"] if forced else parts)


def _blas_kernels() -> list[str]:
    """OpenBLAS's names for the code that it chose; [] where NumPy uses another library."""
    libraries = import_module("threadpoolctl").threadpool_info()
    blas = [library for library in libraries if library.get("architecture")]
    # NumPy's own, so that it does not matter which others, such as scipy's, are loaded already.
    place = Path(np.__file__).parents[1]
    own = [x for x in blas if Path(x["filepath"]).is_relative_to(place / "numpy.libs")]
    return sorted({str(library["architecture"]) for library in own or blas})


def _numpy_level() -> str:
    """The highest of NumPy's own codes that this processor runs."""
    core: Any = import_module("numpy._core._multiarray_umath")
    usable = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    return str((usable or list(core.__cpu_baseline__) or ["baseline"])[-1])
