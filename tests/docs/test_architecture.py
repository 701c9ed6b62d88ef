"""docs/architecture.md names what is there, and its pictures are those of the script."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NOT_OF_THE_PACKAGE = {"tests", "benchmarks", "docs", "tools", "build", "dist"}


def test_every_path_on_the_page_exists():
    named = re.findall(r"`((?:[\w.]+/)+(?:[\w.]+\.\w+)?)`", PAGE)
    assert len(named) > 60
    to_come = re.compile("NAME|STAGE")  # what the reader will call a file of theirs
    assert [path for path in named if not (to_come.search(path) or (ROOT / path).exists())] == []


def test_every_name_on_the_page_is_in_the_code():
    named = set(re.findall(r"`(_?[A-Z][A-Za-z_0-9]+|\w+_\w+)(?:\([^`]*\))?`", PAGE))
    assert len(named) > 12
    code = " ".join(
        path.read_text(encoding="utf-8")
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in NOT_OF_THE_PACKAGE
        and not path.relative_to(ROOT).parts[0].startswith(".")
    )
    assert named - set(re.findall(r"\w+", code)) == set()


def test_every_folder_of_the_package_has_a_sentence():
    files = (path.relative_to(ROOT) for path in ROOT.rglob("__init__.py"))
    folders = {
        path.parent.as_posix()
        for path in files
        if path.parts[0] not in NOT_OF_THE_PACKAGE and not path.parts[0].startswith(".")
    }
    stated = set(re.findall(r"^\| `([\w./]+?)/?` \|", PAGE, re.M))
    assert folders - stated == set()


@pytest.mark.parametrize("picture", ["floors", "frame"])
def test_a_picture_is_the_scripts(picture):
    path = ROOT / "docs" / "draw_architecture.py"
    spec = importlib.util.spec_from_file_location("draw_architecture", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert getattr(script, picture)() == (ROOT / "docs" / f"{picture}.svg").read_text()
