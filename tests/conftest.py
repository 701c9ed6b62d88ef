"""Before any test: the fit's kernels compiled once for all processes; dlib looked for."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import pytest

from glee.fitting.solver.kernel_cache import ensure_compiled


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    ensure_compiled()


@pytest.fixture(autouse=True)
def _level() -> None:
    """Each test sees glee's warnings, also after one that ran a command with --quiet."""
    logging.getLogger("glee").setLevel(logging.NOTSET)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked with dlib where the extra is not installed."""
    if find_spec("dlib") and find_spec("face_recognition_models"):
        return
    absent = pytest.mark.skip(reason="the extra dlib is not installed (pip install '.[dlib]')")
    for item in items:
        if item.get_closest_marker("dlib"):
            item.add_marker(absent)
