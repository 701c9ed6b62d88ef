"""The example in docs/backends.md, installed as a package of others, found and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.pipeline.landmarks.backends import BUILTIN, ENTRY_POINT_GROUP
from glee.pipeline.shards.shard import list_shards, read_shard

PAGE = Path(__file__).parents[3] / "docs" / "backends.md"


@pytest.fixture
def installed(tmp_path):
    """A folder for sys.path that holds the page's file and what pip writes beside it."""
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    points = tomllib.loads(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    ((name, value),) = points["project"]["entry-points"][ENTRY_POINT_GROUP].items()
    site = tmp_path / "site"
    info = site / "meanface-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "meanface.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: meanface\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {value}\n")
    return site


def glee(site, *words):
    return subprocess.run(
        [sys.executable, "-m", "glee.cli", "-q", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_runs_from_the_command_line(installed, tmp_path):
    images = tmp_path / "data" / "clip"
    images.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(images / f"{number}.png"), np.full((240, 320, 3), 90, np.uint8))
    work = tmp_path / "work"
    arguments = ("--dataset", "folder", "--root", images.parent, "--out", work, "--workers", 1)
    done = glee(installed, "preprocess", *arguments, "--detector", "meanface")
    assert done.returncode == 0, done.stderr
    (path,) = list_shards(work)
    shard = read_shard(path)
    assert shard.header.detector == "meanface 1.0"
    assert shard.frames.valid.all()
    width = np.ptp(shard.frames.landmarks[..., 0], axis=1)
    assert width == pytest.approx(np.full(3, 120.0), rel=1e-4)


def test_an_option_that_it_does_not_take_and_a_broken_one(installed, tmp_path):
    arguments = ("preprocess", "--dataset", "folder", "--root", tmp_path, "--out", tmp_path / "w")
    (tmp_path / "clip").mkdir()
    cv2.imwrite(str(tmp_path / "clip" / "0.png"), np.zeros((64, 64, 3), np.uint8))
    done = glee(installed, *arguments, "--detector", "meanface", "--detector-device", "cuda")
    assert done.returncode == 2
    assert done.stderr == "glee: error: detector meanface takes no device; leave it out\n"
    (installed / "meanface.py").write_text("import nothing_of_that_name\n")
    done = glee(installed, *arguments, "--detector", "meanface")
    assert done.returncode == 1
    assert "meanface:MeanFace cannot be imported (No module named" in done.stderr
    assert done.stderr.count("\n") == 1


def test_glees_own_backends_are_entry_points_too():
    names = {entry.name for entry in BUILTIN}
    assert names == {"dlib", "mesh", "fan"}
    assert all(entry.group == ENTRY_POINT_GROUP for entry in BUILTIN)
    for entry in BUILTIN:
        assert entry.module.startswith("glee.pipeline.")
