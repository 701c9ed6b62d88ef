"""A Slurm for the tests of this folder, and the dataset that they share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from glee.pipeline.synthesis.clips import synthesise

# By its path: tests are no package.
_spec = importlib.util.spec_from_file_location("one_node", Path(__file__).with_name("one_node.py"))
one_node = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(one_node)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running Slurm of one node."""
    reason = one_node.missing()
    if reason:
        pytest.skip(reason)
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    node = one_node.OneNodeSlurm(tmp_path_factory.mktemp("slurm"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Two subjects of 24 frames in DISFA's layout."""
    root = tmp_path_factory.mktemp("disfa")
    synthesise(root, subjects=2, frames=24, size=(320, 240), seed=5)
    return root
