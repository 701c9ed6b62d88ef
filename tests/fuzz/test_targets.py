"""Every fuzz target reads its own valid file, and a short run of a few of them finds nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("atheris", reason="atheris is not installed: pip install '.[fuzz]'")

from glee.errors import GleeError

from .__main__ import fuzz
from .targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_valid_and_cut(tmp_path, name):
    target = TARGETS[name]
    path = tmp_path / target.file
    target.write(path)
    content = target.right(path.read_bytes())
    path.write_bytes(content)
    target.read(path)
    path.write_bytes(target.right(content[: len(content) // 2]))
    said = ""
    try:
        target.read(path)
    except GleeError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("name", ["options", "fec", "npz"])
def test_a_short_run(tmp_path, name):
    tally = fuzz(name, 2, tmp_path)
    assert tally.finding is None
    assert tally.runs > 0
