"""Before any test: the fit's kernels compiled once for this and all other processes."""

from __future__ import annotations

import pytest

from glee.fitting.solver.kernel_cache import ensure_compiled


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    ensure_compiled()
