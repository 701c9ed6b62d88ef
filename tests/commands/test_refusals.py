"""What the system refuses is one line that says what to do, and never asks for a report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glee.cli import run

FULL = Path("/dev/full")


@pytest.mark.parametrize("words", [["--help"], ["doctor"], ["config", "show"]])
def test_a_full_disk_behind_stdout(words):
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "glee.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    line = "glee: error: the output: No space left on device; free space there\n"
    assert done.stderr.endswith(line)
    assert "report it" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_path_that_is_too_long(tmp_path, capsys):
    deep = tmp_path.joinpath(*["a" * 80] * 60)
    for words in (["status", str(deep)], ["synth", str(deep), "--subjects", "1", "--frames", "1"]):
        assert run(words) == 1
        said = capsys.readouterr().err
        assert "File name too long" in said
        assert "report it" not in said
        assert said.count("\n") == 1
        assert len(said) < 1000


@pytest.mark.parametrize(
    "words",
    [
        "events FILE -o FILE",
        "agree FILE other -o FILE",
        "agree other FILE -o LINK",
        "agree other FILE --plot FILE",
        "predict RUN FILE -o FILE",
        "export FILE -o FILE",
        "inspect FILE --png FILE",
        "model import npz FILE -o FILE",
    ],
)
def test_what_is_read_is_never_written(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = b"only copy"
    Path("file.csv").write_bytes(content)
    Path("other").touch()
    Path("link.csv").symlink_to("file.csv")
    Path("RUN/fold1").mkdir(parents=True)
    given = words.replace("FILE", "file.csv").replace("LINK", "link.csv").split()
    assert run(given) == 2
    assert "is read, and would be overwritten; give another --" in capsys.readouterr().err
    assert Path("file.csv").read_bytes() == content
