"""Synthetic datasets in each layout, written once; never written to (copy them first)."""

from __future__ import annotations

import shutil

import pytest

from glee.pipeline.synthesis.dataset import synthesise_dataset

SIZE = (240, 192)


def _write(tmp_path_factory, layout, **options):
    root = tmp_path_factory.mktemp(layout)
    synthesise_dataset(root, layout=layout, size=SIZE, seed=5, **options)
    return root


@pytest.fixture(scope="session")
def synthetic_bp4d(tmp_path_factory):
    return _write(tmp_path_factory, "bp4d", subjects=1, frames=14)


@pytest.fixture(scope="session")
def synthetic_disfa_plus(tmp_path_factory):
    return _write(tmp_path_factory, "disfa-plus", subjects=1, frames=5)


@pytest.fixture(scope="session")
def synthetic_fec(tmp_path_factory):
    return _write(tmp_path_factory, "fec", subjects=3, frames=8)


@pytest.fixture
def damaged(tmp_path):
    """Copies a dataset so that a test may damage it."""

    def copy(root):
        return shutil.copytree(root, tmp_path / "damaged")

    return copy
