"""The page on the shard format against a shard of today's code."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import pytest

from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import REASONS, list_shards
from glee.pipeline.synthesis.clips import synthesise

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shard-format.md"


@pytest.mark.slow
def test_the_page_names_every_dataset_with_its_type(tmp_path):
    synthesise(tmp_path / "data", subjects=1, frames=6, size=(320, 240), seed=5)
    options = PreprocessOptions(detector="mesh", dense=True)
    work = tmp_path / "work"
    preprocess("disfa", tmp_path / "data", work, options=options, workers=1, progress=False)
    fit3d(work, workers=1, progress=False)
    stated, page = {}, PAGE.read_text()
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        for name in re.findall(r"`([a-z_]+/[\w.]+)`", cells[0]) if len(cells) == 4 else ():
            stated[name] = (cells[1], cells[2].count("x") + 1)
    found = {}
    with h5py.File(list_shards(work)[0], "r") as file:
        file.visititems(
            lambda name, node: found.update(
                {re.sub(r"AU\d+", "AU...", name): (str(node.dtype), node.ndim)}
                if isinstance(node, h5py.Dataset)
                else {}
            )
        )
        assert {"format", "format_version", "landmark_definition", "content_sha256"} <= set(
            file.attrs
        )
    assert all(f"{number} {name}" in page for number, name in enumerate(REASONS))
    assert {k: v for k, v in stated.items() if not k.startswith("embed/")} == found
