"""One small demo for all tests of reports."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def small():
    """Options of a small demo."""
    return {"subjects": 3, "frames": 24, "size": (320, 240), "epochs": 1, "workers": 1}


@pytest.fixture(scope="session")
def made(tmp_path_factory, small):
    """The folder of a small demo, and its results."""
    from glee.reports.demo.demo import demo

    out = tmp_path_factory.mktemp("demo") / "out"
    return out, demo(out, progress=False, **small)
