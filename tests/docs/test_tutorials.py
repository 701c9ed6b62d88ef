"""Every block of the tutorials runs, in order, and prints what its page says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "tutorials").glob("*.md"))


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("run_tutorial", DOCS / "run_tutorial.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_tutorial_does_what_it_says(page, tmp_path):
    command = [sys.executable, DOCS / "run_tutorial.py", page, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_says_something_else_is_found(runner, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\necho 3 faces > said\ncat said\n```\n\n```text\n4 faces\n```\n"
        '```python\nprint(open("said").read(), "in 7.0 s")\n```\n```text\n3 faces in 0.2 s\n```\n'
    )
    differences, right = runner.run_page(page, tmp_path)
    assert len(differences) == 1
    assert "4 faces" in differences[0]
    page.write_text(right)
    assert runner.run_page(page, tmp_path)[0] == []


def test_a_block_that_fails_stops_the_page(runner, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\nfalse\ntouch after\n```\n")
    with pytest.raises(RuntimeError, match="exit status 1"):
        runner.run_page(page, tmp_path)
    assert not (tmp_path / "after").exists()


def test_words_are_equal_and_numbers_nearly(runner):
    assert runner.alike("r 0.98, 40 frames", "r 0.97, 40 frames", free=False)
    assert not runner.alike("r 0.98, 40 frames", "r 0.78, 40 frames", free=False)
    assert not runner.alike("40 frames", "40 clips", free=True)
    assert runner.alike("AU9 0.0 -", "AU9 31.5 12.0", free=True)
