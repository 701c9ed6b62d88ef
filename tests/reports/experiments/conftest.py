"""Tiny rendered datasets in the layouts that the experiments need, preprocessed and fitted."""

from __future__ import annotations

import pytest

from glee.pipeline.fit3d import fit3d
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.dataset import synthesise_dataset

LAYOUTS = {"bp4d": 4, "bp4d-plus": 3, "disfa": 3, "fec": 5}
FRAMES = 4


@pytest.fixture(scope="session")
def works(tmp_path_factory):
    """A work folder for each dataset."""
    root = tmp_path_factory.mktemp("rendered")
    made = {}
    for layout, subjects in LAYOUTS.items():
        data, made[layout] = root / "data" / layout, root / "work" / layout
        synthesise_dataset(data, layout=layout, subjects=subjects, frames=FRAMES, size=(320, 240))
        preprocess(layout, data, made[layout], workers=1, progress=False)
        if layout != "fec":
            fit3d(made[layout], workers=1, progress=False)
    return made
